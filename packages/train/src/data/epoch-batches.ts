import type { TrainSettings } from '../options.js';
import { type TrainingBatches, trainingBatches } from './batches.js';
import { balancedOrder, questionOrder, resampledOrder, shuffledOrder, type TrainingOrder } from './order.js';
import { questionsOfSet, type TrainingData, tracesOfSet } from './training-data.js';

/**
 * The training rows in the order that the loss and the balance of the classes ask for.
 * @param runs `long` where a call of the engine costs much however little it takes
 */
export function epochBatches(
  { source, memory, train }: Pick<TrainingData, 'source' | 'memory' | 'train'>,
  settings: TrainSettings,
  { runs = 'short' }: { runs?: 'short' | 'long' } = {},
): TrainingBatches {
  const { loss, classBalance, resampleSteps, stepSampleRatio, batchSize, seed } = settings;
  const choice = { batchSize, seed, rowBytes: source.rowBytes };
  const runRows = runs === 'long' ? memory.longRunRows : memory.runRows;
  if (loss === 'pairwise') {
    const questions = questionsOfSet(train);
    const order = questionOrder(train.set, questions, choice);
    return trainingBatches(train.rows, train.set, { order, batchSize, runRows, questions });
  }
  const order = (): TrainingOrder => {
    if (resampleSteps) return resampledOrder(tracesOfSet(train.set, train.steps), stepSampleRatio, choice);
    return classBalance === 'sample' ? balancedOrder(train.set, choice) : shuffledOrder(train.set, choice);
  };
  return trainingBatches(train.rows, train.set, { order: order(), batchSize, runRows });
}
