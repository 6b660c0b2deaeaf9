import {
  createGraph,
  encodeGraph,
  openSession,
  type SessionOptions,
  type TensorData,
  tensorOps,
} from '@scorer/core/onnx';
import type { FeatureRows } from './engine.js';
import {
  forEachParameter,
  logitsOf,
  type NetworkShape,
  PARAMETERS,
  type Parameters,
  parameterShapes,
} from './network.js';

/** The network without its training, in a thread of its own. */
export interface Forward {
  readonly runtime: string;
  /** Logits of rows [R, D] under the weights last set, [R]. */
  logits(rows: FeatureRows): Promise<Float32Array>;
  setWeights(weights: Parameters): void;
  close(): Promise<void>;
}

/** Rows of one run of the graph: enough to keep the processor busy, few enough for the copies of them to stay small. */
const ROWS_PER_RUN = 1024;

/** @throws ScorerError `ONNXRUNTIME_MISSING`, `CUDA_UNAVAILABLE` */
export async function openForward(
  network: NetworkShape,
  rowType: FeatureRows['type'],
  options: SessionOptions,
): Promise<Forward> {
  const session = await openSession(forwardGraph(network, rowType), options);
  const shapes = parameterShapes(network);
  let weightsToSend: Parameters | undefined;

  async function logitsOfRun(rows: FeatureRows): Promise<Float32Array> {
    const weights = weightsToSend;
    weightsToSend = undefined;
    const feeds: Record<string, TensorData> = {
      rows: { type: rows.type, dims: [rows.count, network.inputSize], data: rows.data },
    };
    if (weights) {
      for (const name of PARAMETERS) feeds[name] = { type: 'float32', dims: shapes[name], data: weights[name] };
    }
    const { logits } = await session.run(feeds, {
      fetch: ['logits'],
      transfer: ['rows'],
      ...(weights && { carry: KEPT_WEIGHTS }),
    });
    return logits!.data as Float32Array;
  }

  return {
    runtime: session.runtime,
    setWeights(weights) {
      weightsToSend = weights;
    },
    async logits(rows) {
      const logits = new Float32Array(rows.count);
      for (let from = 0; from < rows.count; from += ROWS_PER_RUN) {
        logits.set(await logitsOfRun(rowSlice(rows, network.inputSize, from, from + ROWS_PER_RUN)), from);
      }
      return logits;
    },
    close: () => session.close(),
  };
}

/** The weights come in with one run and stay in the session's thread for the next ones. */
const KEPT_WEIGHTS: Record<string, string> = Object.fromEntries(PARAMETERS.map((name) => [`kept ${name}`, name]));

function forwardGraph(network: NetworkShape, rowType: FeatureRows['type']): Uint8Array {
  const ops = tensorOps(createGraph('score'));
  const shapes = parameterShapes(network);
  const rows = ops.input('rows', rowType, ['R', network.inputSize]);
  const parameters = forEachParameter((name) => ops.input(name, 'float32', shapes[name]));
  const logits = logitsOf(ops, ops.cast(rows, 'float32'), parameters);
  ops.output('logits', ops.reshape(logits, ['R']));
  for (const name of PARAMETERS) ops.output(`kept ${name}`, parameters[name]);
  return encodeGraph(ops.graph);
}

function rowSlice(rows: FeatureRows, width: number, from: number, to: number): FeatureRows {
  const count = Math.min(to, rows.count) - from;
  const [start, end] = [from * width, (from + count) * width];
  // Copied, because it goes to the session's thread for good.
  return rows.type === 'float16'
    ? { type: rows.type, count, data: rows.data.slice(start, end) }
    : { type: rows.type, count, data: rows.data.slice(start, end) };
}
