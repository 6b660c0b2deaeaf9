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
  'MatMul',
  'Gemm',
  'FusedMatMul',
  'MatMulNBits',
  'MatMulInteger',
  'QMoE',
]);

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
  const normed = finalStates(model, graph);
  if (normed === undefined) return { problem: 'it has neither logits nor last_hidden_state among its outputs' };

  const sums: string[] = [];
  let connection = lastConnection(normed, graph);
  while (connection) {
    sums.unshift(connection.sum);
    const { terms } = connection;
    const residual = terms.filter((term) => isResidual(term, graph));
    if (residual.length !== 1) {
      // Below the first layer nothing is added to the embeddings, but position embeddings may be a sum themselves.
      if (residual.length === 0 && sums.length > 1) return { sums, normed };
      return { problem: `the residual connection ${connection.sum} is of an unknown kind` };
    }
    const value = throughCasts(residual[0]!, graph);
    connection = connectionOf(value, graph);
    if (!connection) sums.unshift(value);
  }
  return sums.length > 1 ? { sums, normed } : { problem: 'no residual connections lead to its output' };
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
    const reads = [...node.inputs, ...node.captured].filter((name) => name !== '');
    for (const name of reads) readers.set(name, (readers.get(name) ?? 0) + 1);
    const isComputed = reads.some((name) => computed.has(name));
    for (const output of node.outputs) {
      makers.set(output, node);
      if (isComputed) computed.add(output);
    }
  }
  return { makers, readers, computed };
}

/** The value that lm_head multiplies, or the output that holds it. */
function finalStates({ outputs }: OnnxModel, { makers, computed }: Links): string | undefined {
  const named = outputs.find(({ name }) => FINAL_STATE_OUTPUTS.includes(name));
  if (named) return named.name;
  let value = outputs.find(({ name }) => name === 'logits')?.name;
  while (value !== undefined) {
    const node = makers.get(value);
    const next = node?.inputs.find((name) => computed.has(name));
    if (node && PRODUCTS.has(node.operator)) return next === undefined ? undefined : beforeSelection(next, makers);
    value = next;
  }
  return undefined;
}

/** Exporters that compute the last logits alone select tokens before lm_head. */
function beforeSelection(value: string, makers: Links['makers']): string {
  const node = makers.get(value);
  const selects =
    node && ['Slice', 'Gather', 'GatherND', 'Reshape', 'Squeeze', 'Unsqueeze', 'Cast'].includes(node.operator);
  return selects ? beforeSelection(node.inputs[0]!, makers) : value;
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
  if (node?.operator === 'Cast') return isResidual(node.inputs[0]!, graph) || (graph.readers.get(term) ?? 0) > 1;
  return (graph.readers.get(term) ?? 0) > 1;
}

function throughCasts(value: string, graph: Links): string {
  const node = graph.makers.get(value);
  return node?.operator === 'Cast' ? throughCasts(node.inputs[0]!, graph) : value;
}
