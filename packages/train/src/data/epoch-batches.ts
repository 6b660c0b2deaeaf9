import type { TrainSettings } from '../options.js';
import { type TrainingBatches, trainingBatches } from './batches.js';
import { balancedOrder, questionOrder, resampledOrder, shuffledOrder, type TrainingOrder } from './order.js';
import { questionsOfSet, type TrainingData, tracesOfSet } from './training-data.js';

/** The training rows in the order that the loss and the balance of the classes ask for. */
export function epochBatches(
  { source, memory, train }: Pick<TrainingData, 'source' | 'memory' | 'train'>,
  settings: TrainSettings,
): TrainingBatches {
  const { loss, classBalance, resampleSteps, stepSampleRatio, batchSize, seed } = settings;
  const choice = { batchSize, seed, rowBytes: source.rowBytes };
  if (loss === 'pairwise') {
    const questions = questionsOfSet(train);
    const order = questionOrder(train.set, questions, choice);
    return trainingBatches(train.rows, train.set, { order, batchSize, memory, questions });
  }
  const order = (): TrainingOrder => {
    if (resampleSteps) return resampledOrder(tracesOfSet(train.set, train.steps), stepSampleRatio, choice);
    return classBalance === 'sample' ? balancedOrder(train.set, choice) : shuffledOrder(train.set, choice);
  };
  return trainingBatches(train.rows, train.set, { order: order(), batchSize, memory });
}
