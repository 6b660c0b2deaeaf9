import { openSession, type TensorData } from '@scorer/core/onnx';
import type { Engine, EngineOptions, TrainingState } from './engine.js';
import { openForward } from './forward.js';
import { forEachParameter, type NetworkShape, PARAMETERS, type Parameters, parameterShapes } from './network.js';
import {
  adamFactors,
  STATE_GROUPS,
  type StateGroup,
  stateInput,
  stateOutput,
  trainingGraph,
} from './training-graph.js';

/**
 * Training on ONNX Runtime: forward pass, gradient and Adam are one graph, of which one run takes many batches. The
 * state stays in the session's thread from run to run.
 */
export async function createOnnxEngine(options: EngineOptions, initial: TrainingState): Promise<Engine> {
  const { network, adam, rowType } = options;
  const sessionOptions = { device: options.device, threads: options.threads };
  const session = await openSession(trainingGraph(options), sessionOptions);
  const forward = await openForward(network, rowType, sessionOptions);
  let step = initial.step;
  let stateToSend: TrainingState | undefined = initial;
  let weightsSent = false;

  /** Copies of some groups of the state as it stands after the last run. */
  async function readState(groups: readonly StateGroup[]): Promise<Parameters[]> {
    if (stateToSend) return groups.map((group) => stateGroup(stateToSend!, group));
    const arrays = await session.carried(groups.flatMap((group) => PARAMETERS.map((name) => stateInput(group, name))));
    return groups.map((group) => forEachParameter((name) => arrays[stateInput(group, name)]!.data as Float32Array));
  }

  return {
    runtime: session.runtime,
    async trainBatches({ rows, labels, batchSize }) {
      const batches = rows.count / batchSize;
      const factors = Array.from({ length: batches }, (_, k) => adamFactors(adam, step + k + 1));
      const feeds: Record<string, TensorData> = {
        rows: { type: rows.type, dims: [batches, batchSize, network.inputSize], data: rows.data },
        labels: { type: 'float32', dims: [batches, batchSize], data: labels },
        root_factors: vector(factors.map(({ rootFactor }) => rootFactor)),
        root_offsets: vector(factors.map(({ rootOffset }) => rootOffset)),
        ...(stateToSend && stateFeeds(network, stateToSend)),
      };
      stateToSend = undefined;
      weightsSent = false;
      step += batches;
      const { losses } = await session.run(feeds, { fetch: ['losses'], carry: CARRIED_STATE, transfer: ['rows'] });
      return losses!.data as Float32Array;
    },
    async predict(rows) {
      if (!weightsSent) {
        const [weights] = await readState(['weight']);
        forward.setWeights(weights!);
        weightsSent = true;
      }
      return forward.logits(rows);
    },
    async state() {
      const [weights, gradientSums, squareSums] = await readState(STATE_GROUPS);
      return { step, weights: weights!, gradientSums: gradientSums!, squareSums: squareSums! };
    },
    async close() {
      await Promise.all([session.close(), forward.close()]);
    },
  };
}

const STATE_ARRAYS = STATE_GROUPS.flatMap((group) => PARAMETERS.map((name) => ({ group, name })));

/** The state stays in the session's thread from one run to the next. */
const CARRIED_STATE: Record<string, string> = Object.fromEntries(
  STATE_ARRAYS.map(({ group, name }) => [stateOutput(group, name), stateInput(group, name)]),
);

function stateFeeds(network: NetworkShape, state: TrainingState): Record<string, TensorData> {
  const shapes = parameterShapes(network);
  return Object.fromEntries(
    STATE_ARRAYS.map(({ group, name }): [string, TensorData] => [
      stateInput(group, name),
      { type: 'float32', dims: shapes[name], data: stateGroup(state, group)[name] },
    ]),
  );
}

function stateGroup({ weights, gradientSums, squareSums }: TrainingState, group: StateGroup): Parameters {
  return { weight: weights, gradient_sum: gradientSums, square_sum: squareSums }[group];
}

function vector(values: readonly number[]): TensorData {
  return { type: 'float32', dims: [values.length], data: Float32Array.from(values) };
}
