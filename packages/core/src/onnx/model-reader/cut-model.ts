import type { Graph, GraphProto } from '../graph.js';
import { encodeField, encodeGraphProto, encodeValueInfo } from '../proto.js';
import type { OnnxInitializer, OnnxModel, OnnxNode, OnnxTensor } from './read-model.js';

export interface CutModel {
  /** Loads in the model's folder. */
  readonly bytes: Uint8Array;
  /** Those of the model's inputs that are still read. */
  readonly inputs: readonly OnnxTensor[];
  /** Those of its nodes and weights that are. */
  readonly nodes: readonly OnnxNode[];
  readonly initializers: ReadonlyMap<string, OnnxInitializer>;
}

/** Field numbers of onnx.proto3. */
const MODEL_GRAPH = 7;
const GRAPH = { node: 1, initializer: 5, input: 11 } as const;

/**
 * What of a model's graph leads to some of its values, and instead of its own outputs those of another graph, which
 * reads these values: everything else is left out.
 * @param addition a graph that reads values of the model by their names; its own names must not clash with theirs
 * @param feeds a graph that computes inputs of the model, by their names: these are no inputs any more
 */
export function cutModel(model: OnnxModel, values: readonly string[], addition: Graph, feeds?: Graph): CutModel {
  const fed = feeds ? partOf(feeds.toProto()) : { nodes: [], initializers: new Map<string, object>() };
  const makerOf = new Map<string, OnnxNode | (typeof fed.nodes)[number]>();
  for (const node of [...model.nodes, ...fed.nodes]) for (const output of node.outputs) makerOf.set(output, node);
  const read = new Set<string>();
  const waiting = [...values];
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    if (read.has(name)) continue;
    read.add(name);
    const node = makerOf.get(name);
    if (node) waiting.push(...node.inputs, ...('captured' in node ? node.captured : []));
  }

  const isRead = ({ outputs }: { outputs: readonly string[] }): boolean => outputs.some((name) => read.has(name));
  const inputs = model.inputs.filter(({ name }) => read.has(name) && !makerOf.has(name) && !fed.initializers.has(name));
  const nodes = model.nodes.filter(isRead);
  const initializers = new Map([...model.initializers].filter(([name]) => read.has(name)));
  const before = {
    node: fed.nodes.filter(isRead).map(({ proto }) => proto),
    initializer: [...fed.initializers].filter(([name]) => read.has(name)).map(([, proto]) => proto),
  };
  // Messages merge when their bytes are joined: the lists of the graphs become one, in this order.
  const graph = Buffer.concat([
    encodeGraphProto(before),
    ...nodes.map(({ bytes }) => encodeField(GRAPH.node, bytes)),
    ...[...initializers.values()].map(({ bytes }) => encodeField(GRAPH.initializer, bytes)),
    ...inputs.map((input) => encodeField(GRAPH.input, declarationOf(input))),
    encodeGraphProto(addition.toProto()),
  ]);
  const bytes = Buffer.concat([model.rest, encodeField(MODEL_GRAPH, graph)]);
  return { bytes: new Uint8Array(bytes), inputs, nodes, initializers };
}

/** Nodes and constants of a graph of ours. */
function partOf({ node, initializer }: GraphProto) {
  return {
    nodes: node.map((proto) => ({ proto, inputs: proto.input, outputs: proto.output })),
    initializers: new Map<string, object>(initializer.map((proto) => [proto.name, proto])),
  };
}

/**
 * An input without the names of its dimensions. ONNX Runtime takes values whose dimensions have the same names for equal
 * in size, and exporters give an attention's past and present the same ones: it would put both into one buffer.
 */
function declarationOf({ name, typeNumber, shape }: OnnxTensor): Uint8Array {
  const dim = shape?.map((dimension) => (typeof dimension === 'number' ? { dimValue: dimension } : {}));
  return encodeValueInfo({ name, type: { tensorType: { elemType: typeNumber, ...(dim && { shape: { dim } }) } } });
}
