import type { OnnxModel, OnnxNode } from '@scorer/core/onnx';

/** Where a decoder's graph has its hidden states: names of values [1, T, D]. */
export interface ResidualStream {
  /** The embeddings, and then the sum after every residual connection, in the order of execution. */
  readonly sums: readonly string[];
  /** After the final norm. */
  readonly normed: string;
}

/** Products with lm_head, whatever its weights' format. */
export const PRODUCTS: ReadonlySet<string> = new Set([
  ...['MatMul', 'Gemm', 'FusedMatMul', 'MatMulNBits', 'MatMulBnb4', 'QMoE'],
  ...['MatMulInteger', 'MatMulIntegerToFloat', 'DynamicQuantizeMatMul', 'QLinearMatMul'],
]);

/** What exporters put between that product and the logits: a scale, a bias, a cap, a type, the last tokens alone. */
const AFTER_PRODUCT: ReadonlySet<string> = new Set([
  ...['Add', 'Mul', 'Div', 'Tanh', 'Cast', 'Identity', 'QuantizeLinear', 'DequantizeLinear'],
  ...['Slice', 'Gather', 'GatherND', 'Reshape', 'Squeeze', 'Unsqueeze', 'Transpose'],
]);

/** What they put between the states and it, the numbers that are multiplied in eight bits among them. */
const BEFORE_PRODUCT: ReadonlySet<string> = new Set([
  ...['Slice', 'Gather', 'GatherND', 'Reshape', 'Squeeze', 'Unsqueeze', 'Cast', 'Identity'],
  ...['DynamicQuantizeLinear', 'QuantizeLinear', 'DequantizeLinear'],
]);

/** What changes the type of numbers, or nothing. */
const SAME_NUMBERS: ReadonlySet<string> = new Set(['Cast', 'Identity']);

/** Outputs that hold the states after the final norm, of models exported without lm_head or with both. */
const FINAL_STATE_OUTPUTS: readonly string[] = ['last_hidden_state', 'hidden_states'];

/** com.microsoft's norms that add to the residual stream first; the sum is their fourth output. */
const ADD_AND_NORM = new Set(['SkipSimplifiedLayerNormalization', 'SkipLayerNormalization']);
const SUM_OUTPUT = 3;

/**
 * Walks a decoder's graph backwards, from what lm_head reads to the embeddings. Exporters differ in names and in how
 * they write a norm, so the walk goes by the shape that all of them share: a residual connection adds what a sublayer
 * made, which nothing else reads, to a sum that the sublayer's norm reads too.
 * @returns what was found, or why it could not be
 */
export function findResidualStream(model: OnnxModel): ResidualStream | { problem: string } {
  const graph = linksOf(model);
  if (hasCycle(model, graph)) return { problem: 'some of its values depend on themselves' };
  const normed = finalStates(model, graph);
  if (typeof normed !== 'string') return normed;

  const sums: string[] = [];
  let connection = lastConnection(normed, graph);
  while (connection) {
    sums.unshift(connection.sum);
    const { terms } = connection;
    const residual = terms.filter((term) => isResidual(term, graph));
    if (residual.length === 0) {
      // Below the first layer: embeddings that nothing else reads, or that are a sum themselves.
      const embeddings = terms.filter((term) => !isOfLayer(term, graph));
      if (embeddings.length === 1) sums.unshift(embeddings[0]!);
      break;
    }
    if (residual.length > 1) return { problem: unknownKind(connection) };
    const value = withoutCasts(residual[0]!, graph);
    connection = connectionOf(value, graph);
    if (!connection) sums.unshift(value);
  }
  if (connection && isOfLayer(sums[0]!, graph)) return { problem: unknownKind(connection) };
  if (sums.length < 2) return { problem: 'no residual connections lead to its output' };
  if (isOfLayer(sums[0]!, graph)) return { problem: `below ${sums[0]} it has a layer without a residual connection` };
  return { sums, normed };
}

const unknownKind = ({ sum }: Connection): string => `the residual connection ${sum} is of an unknown kind`;

/** Whether products with weights lead to a value, as to all but the embeddings; or what may hold some in its bodies. */
function isOfLayer(value: string, { makers }: Links): boolean {
  const values = new Set([value]);
  for (const name of values) {
    const node = makers.get(name);
    if (!node) continue;
    if (PRODUCTS.has(node.operator) || ADD_AND_NORM.has(node.operator) || node.captured.length > 0) return true;
    for (const input of givenNames(node.inputs)) values.add(input);
  }
  return false;
}

interface Links {
  /** The node that makes a value. */
  readonly makers: ReadonlyMap<string, OnnxNode>;
  /** How many nodes read a value. */
  readonly readers: ReadonlyMap<string, number>;
  /** Values that depend on what is fed. */
  readonly computed: ReadonlySet<string>;
}

function linksOf({ nodes, inputs }: OnnxModel): Links {
  const makers = new Map<string, OnnxNode>();
  const readers = new Map<string, number>();
  const computed = new Set(inputs.map(({ name }) => name));
  for (const node of nodes) {
    const reads = givenNames([...node.inputs, ...node.captured]);
    for (const name of reads) readers.set(name, (readers.get(name) ?? 0) + 1);
    const isComputed = reads.some((name) => computed.has(name));
    for (const output of node.outputs) {
      makers.set(output, node);
      if (isComputed) computed.add(output);
    }
  }
  return { makers, readers, computed };
}

/** An input or output that is left out has no name. */
function givenNames(values: readonly string[]): string[] {
  return values.filter((name) => name !== '');
}

/** Walks over such a graph would not end. Values of the same name, as from a branch and from outside of it, make one too. */
function hasCycle({ nodes }: OnnxModel, { makers }: Links): boolean {
  const readersOf = new Map<OnnxNode, OnnxNode[]>(nodes.map((node) => [node, []]));
  const waitsFor = new Map<OnnxNode, number>();
  for (const node of nodes) {
    const needed = givenNames(node.inputs).flatMap((name) => makers.get(name) ?? []);
    waitsFor.set(node, needed.length);
    for (const maker of needed) readersOf.get(maker)!.push(node);
  }
  const ready = nodes.filter((node) => waitsFor.get(node) === 0);
  for (const node of ready) {
    for (const reader of readersOf.get(node)!) {
      const left = waitsFor.get(reader)! - 1;
      waitsFor.set(reader, left);
      if (left === 0) ready.push(reader);
    }
  }
  return ready.length < nodes.length;
}

/** The value that lm_head multiplies, or the output that holds it. */
function finalStates({ outputs }: OnnxModel, { makers, computed }: Links): string | { problem: string } {
  const named = outputs.find(({ name }) => FINAL_STATE_OUTPUTS.includes(name));
  if (named) return named.name;
  let value = outputs.find(({ name }) => name === 'logits')?.name;
  if (value === undefined) return { problem: 'it has neither logits nor last_hidden_state among its outputs' };
  for (;;) {
    const node = makers.get(value);
    const next = node?.inputs.find((name) => computed.has(name));
    if (node && next !== undefined && PRODUCTS.has(node.operator)) return beforeProduct(next, makers);
    if (!node || next === undefined || !AFTER_PRODUCT.has(node.operator)) {
      return { problem: `its logits come from ${node?.operator ?? 'no node'}, not from a product that is known` };
    }
    value = next;
  }
}

/** Exporters that compute the last logits alone select tokens before lm_head. */
function beforeProduct(value: string, makers: Links['makers']): string {
  const node = makers.get(value);
  return node && BEFORE_PRODUCT.has(node.operator) ? beforeProduct(node.inputs[0]!, makers) : value;
}

/** A residual connection: its sum and the two values that it adds. */
interface Connection {
  readonly sum: string;
  readonly terms: readonly [string, string];
}

/** The connection whose sum the final norm reads. */
function lastConnection(normed: string, graph: Links): Connection | undefined {
  const seen = new Set<string>();
  const waiting = [normed];
  for (let value = waiting.shift(); value !== undefined; value = waiting.shift()) {
    if (seen.has(value)) continue;
    seen.add(value);
    const node = graph.makers.get(value);
    if (!node) continue;
    // Its sum may have no name where nothing reads it.
    const fused = ADD_AND_NORM.has(node.operator);
    const connection = fused ? fusedConnection(node) : connectionOf(value, graph);
    if (connection) return connection;
    waiting.push(...node.inputs.filter((name) => graph.computed.has(name)));
  }
  return undefined;
}

function connectionOf(value: string, graph: Links): Connection | undefined {
  const node = graph.makers.get(value);
  if (!node) return undefined;
  if (ADD_AND_NORM.has(node.operator)) return node.outputs[SUM_OUTPUT] === value ? fusedConnection(node) : undefined;
  const [a, b] = node.inputs;
  const adds = node.operator === 'Add' && a !== undefined && b !== undefined;
  // A norm's epsilon and a bias are constants.
  return adds && graph.computed.has(a) && graph.computed.has(b) ? { sum: value, terms: [a, b] } : undefined;
}

function fusedConnection({ inputs, outputs }: OnnxNode): Connection {
  return { sum: outputs[SUM_OUTPUT] ?? '', terms: [inputs[0]!, inputs[1]!] };
}

function isResidual(term: string, graph: Links): boolean {
  const node = graph.makers.get(term);
  if (node && ADD_AND_NORM.has(node.operator)) return node.outputs[SUM_OUTPUT] === term;
  if (node && SAME_NUMBERS.has(node.operator)) {
    return isResidual(node.inputs[0]!, graph) || (graph.readers.get(term) ?? 0) > 1;
  }
  return (graph.readers.get(term) ?? 0) > 1;
}

function withoutCasts(value: string, graph: Links): string {
  const node = graph.makers.get(value);
  return node && SAME_NUMBERS.has(node.operator) ? withoutCasts(node.inputs[0]!, graph) : value;
}
