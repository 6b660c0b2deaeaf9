import type { TensorData } from '@scorer/core/onnx';
import { adamFactors, STATE_GROUPS, type StateGroup, stateShape } from './adam.js';
import { dropoutMasks } from './dropout.js';
import type { BatchRun, EngineOptions, TrainingState } from './engine.js';
import { trainedNetwork } from './fold.js';
import { forEachParameter, type NetworkShape, type Parameters, parameterNames, parameterShapes } from './network.js';
import type { Runtime } from './runtime.js';
import { maskInput, stateInput, stateOutput, trainingGraph } from './training-graph.js';

export interface Trainer {
  readonly runtime: string;
  /** As `Engine.trainBatches`. */
  trainBatches(run: BatchRun): Promise<Float32Array>;
  weights(): Promise<Parameters>;
  state(): Promise<TrainingState>;
  close(): Promise<void>;
}

/** Training alone; what it needs of a runtime is a session of `trainingGraph`, which keeps the state from run to run. */
export async function openTrainer(runtime: Runtime, options: EngineOptions, initial: TrainingState): Promise<Trainer> {
  const trained = trainedNetwork(options.network, options.inputTransform);
  const stateArrays = STATE_GROUPS.flatMap((group) => parameterNames(trained).map((name) => ({ group, name })));
  // The state stays in the session's thread from one run to the next.
  const carry = Object.fromEntries(
    stateArrays.map(({ group, name }) => [stateOutput(group, name), stateInput(group, name)]),
  );
  const blockSize = runtime.adamBlock(options.device);
  const session = await runtime.open(trainingGraph(options, blockSize), options);
  let step = initial.step;
  let stateToSend: TrainingState | undefined = initial;

  /** Copies of some groups of the state as it stands after the last run. */
  async function readState(groups: readonly StateGroup[]): Promise<Parameters[]> {
    if (stateToSend) return groups.map((group) => stateGroup(stateToSend!, group));
    const wanted = stateArrays.filter(({ group }) => groups.includes(group));
    const arrays = await session.carried(wanted.map(({ group, name }) => stateInput(group, name)));
    return groups.map((group) =>
      forEachParameter(trained, (name) => arrays[stateInput(group, name)]!.data as Float32Array),
    );
  }

  return {
    runtime: session.runtime,
    async trainBatches(run) {
      const feeds = {
        ...batchFeeds(options, run, step),
        ...(stateToSend && stateFeeds(trained, stateToSend, blockSize)),
      };
      stateToSend = undefined;
      step += run.rows.count / run.batchSize;
      const { losses } = await session.run(feeds, { fetch: ['losses'], carry, transfer: ['rows'] });
      return losses!.data as Float32Array;
    },
    async weights() {
      const [weights] = await readState(['weight']);
      return weights!;
    },
    async state() {
      const [weights, gradientSums, squareSums] = await readState(STATE_GROUPS);
      return { step, weights: weights!, gradientSums: gradientSums!, squareSums: squareSums! };
    },
    close: () => session.close(),
  };
}

/** @param step batches seen before this run */
function batchFeeds(
  options: EngineOptions,
  { rows, labels, groups, batchSize }: BatchRun,
  step: number,
): Record<string, TensorData> {
  const { network, adam, loss, dropout } = options;
  const batches = rows.count / batchSize;
  const factors = Array.from({ length: batches }, (_, k) => adamFactors(adam, step + k + 1));
  const masks = dropout > 0 ? dropoutMasks(options, { firstStep: step + 1, batches, batchSize }) : [];
  return {
    rows: { type: rows.type, dims: [batches, batchSize, network.inputSize], data: rows.data },
    labels: { type: 'float32', dims: [batches, batchSize], data: labels },
    root_factors: vector(factors.map(({ rootFactor }) => rootFactor)),
    root_offsets: vector(factors.map(({ rootOffset }) => rootOffset)),
    ...(groups && loss.kind === 'pairwise' && { groups: { type: 'int32', dims: [batches, batchSize], data: groups } }),
    ...Object.fromEntries(
      masks.map((data, layer): [string, TensorData] => [
        maskInput(layer),
        { type: 'uint8', dims: [batches, network.hiddenUnits[layer]!, batchSize], data },
      ]),
    ),
  };
}

function stateFeeds(network: NetworkShape, state: TrainingState, blockSize: number): Record<string, TensorData> {
  const feeds = Object.entries(parameterShapes(network)).flatMap(([name, shape]) =>
    STATE_GROUPS.map((group): [string, TensorData] => [
      stateInput(group, name),
      { type: 'float32', dims: stateShape(shape, blockSize), data: stateGroup(state, group)[name]! },
    ]),
  );
  return Object.fromEntries(feeds);
}

function stateGroup({ weights, gradientSums, squareSums }: TrainingState, group: StateGroup): Parameters {
  return { weight: weights, gradient_sum: gradientSums, square_sum: squareSums }[group];
}

function vector(values: readonly number[]): TensorData {
  return { type: 'float32', dims: [values.length], data: Float32Array.from(values) };
}
