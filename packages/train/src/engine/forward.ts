import { createGraph, type Graph, type TensorData, tensorOps } from '@scorer/core/onnx';
import type { FeatureRows } from './engine.js';
import { forEachParameter, logitsOf, type NetworkShape, type Parameters, parameterShapes } from './network.js';
import type { Runtime, RuntimeOptions } from './runtime.js';

/** The network without its training, in a thread of its own. */
export interface Forward {
  readonly runtime: string;
  /** Logits of rows [R, D] under the weights last set, [R]. */
  logits(rows: FeatureRows): Promise<Float32Array>;
  setWeights(weights: Parameters): void;
  close(): Promise<void>;
}

export interface ForwardOptions extends RuntimeOptions {
  readonly network: NetworkShape;
  readonly rowType: FeatureRows['type'];
}

/** Rows of one run of the graph: enough to keep the processor busy, few enough for the copies of them to stay small. */
const ROWS_PER_RUN = 1024;

export async function openForward(runtime: Runtime, options: ForwardOptions): Promise<Forward> {
  const { network } = options;
  const session = await runtime.open(forwardGraph(options), options);
  const shapes = Object.entries(parameterShapes(network));
  // The weights come in with one run and stay in the session's thread for the next ones.
  const keptWeights = Object.fromEntries(shapes.map(([name]) => [`kept ${name}`, name]));
  let weightsToSend: Parameters | undefined;

  async function logitsOfRun(rows: FeatureRows): Promise<Float32Array> {
    const weights = weightsToSend;
    weightsToSend = undefined;
    const feeds: Record<string, TensorData> = {
      rows: { type: rows.type, dims: [rows.count, network.inputSize], data: rows.data },
    };
    if (weights) for (const [name, dims] of shapes) feeds[name] = { type: 'float32', dims, data: weights[name]! };
    const { logits } = await session.run(feeds, {
      fetch: ['logits'],
      transfer: ['rows'],
      ...(weights && { carry: keptWeights }),
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
        logits.set(await logitsOfRun(copyOfRows(rows, network.inputSize, from, from + ROWS_PER_RUN)), from);
      }
      return logits;
    },
    close: () => session.close(),
  };
}

function forwardGraph({ network, rowType }: ForwardOptions): Graph {
  const ops = tensorOps(createGraph('score'));
  const shapes = parameterShapes(network);
  const rows = ops.input('rows', rowType, ['R', network.inputSize]);
  const parameters = forEachParameter(network, (name) => ops.input(name, 'float32', shapes[name]!));
  ops.output('logits', logitsOf(ops, network, ops.cast(rows, 'float32'), parameters));
  for (const [name, parameter] of Object.entries(parameters)) ops.output(`kept ${name}`, parameter);
  return ops.graph;
}

function copyOfRows(rows: FeatureRows, width: number, from: number, to: number): FeatureRows {
  const count = Math.min(to, rows.count) - from;
  const [start, end] = [from * width, (from + count) * width];
  // Copied, because it goes to the session's thread for good.
  return rows.type === 'float16'
    ? { type: rows.type, count, data: rows.data.slice(start, end) }
    : { type: rows.type, count, data: rows.data.slice(start, end) };
}
