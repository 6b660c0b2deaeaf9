import type { Graph } from '../graph.js';
import { encodeField, encodeModel, encodeValueInfo } from '../proto.js';
import type { OnnxModel, OnnxTensor } from './read-model.js';

export interface CutModel {
  /** Loads in the model's folder. */
  readonly bytes: Uint8Array;
  /** Those of the model's inputs that are still read. */
  readonly inputs: readonly OnnxTensor[];
}

/** Field numbers of onnx.proto3. */
const MODEL_GRAPH = 7;
const GRAPH = { node: 1, initializer: 5, input: 11 } as const;

/**
 * What of a model's graph leads to some of its values, and instead of its own outputs those of another graph, which
 * reads these values: everything else is left out.
 * @param addition a graph that reads values of the model by their names; its own names must not clash with theirs
 */
export function cutModel(model: OnnxModel, values: readonly string[], addition: Graph): CutModel {
  const makerOf = new Map(model.nodes.flatMap((node) => node.outputs.map((output) => [output, node] as const)));
  const read = new Set<string>();
  const nodes = new Set<(typeof model.nodes)[number]>();
  const waiting = [...values];
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    if (read.has(name)) continue;
    read.add(name);
    const node = makerOf.get(name);
    if (!node || nodes.has(node)) continue;
    nodes.add(node);
    waiting.push(...node.inputs, ...node.captured);
  }

  const inputs = model.inputs.filter(({ name }) => read.has(name));
  const initializers = [...model.initializers].filter(([name]) => read.has(name));
  const graph = Buffer.concat([
    ...model.nodes.filter((node) => nodes.has(node)).map(({ bytes }) => encodeField(GRAPH.node, bytes)),
    ...initializers.map(([, { bytes }]) => encodeField(GRAPH.initializer, bytes)),
    ...inputs.map((input) => encodeField(GRAPH.input, declarationOf(input))),
  ]);
  // Messages merge when their bytes are joined: the lists of the two graphs become one, in this order.
  const bytes = Buffer.concat([
    model.rest,
    encodeField(MODEL_GRAPH, graph),
    encodeModel({ graph: addition.toProto() }),
  ]);
  return { bytes: new Uint8Array(bytes), inputs };
}

/**
 * An input without the names of its dimensions. ONNX Runtime takes values whose dimensions have the same names for equal
 * in size, and exporters give an attention's past and present the same ones: it would put both into one buffer.
 */
function declarationOf({ name, typeNumber, shape }: OnnxTensor): Uint8Array {
  const dim = shape?.map((dimension) => (typeof dimension === 'number' ? { dimValue: dimension } : {}));
  return encodeValueInfo({ name, type: { tensorType: { elemType: typeNumber, ...(dim && { shape: { dim } }) } } });
}
