import { createGraph, type ElementType, type Graph, int64, type OnnxTensor, type Value } from '@scorer/core/onnx';
import { TRACE_LENGTH } from '../graph/sequence.js';
import { CACHE_BRANCH, isPositionsInput, type OnnxDecoderModel } from './load-onnx-model.js';

/** What an input is given for a whole trace in one pass. */
type InputMeaning =
  | 'tokens'
  | 'mask'
  | 'positions'
  | 'length'
  | 'wanted positions'
  | 'empty cache'
  | 'the branch without a cache';

/** By the names that exporters use; undefined where it is none of them. */
export function meaningOf(input: OnnxTensor): InputMeaning | undefined {
  const { name, type, shape } = input;
  if (name === 'input_ids') return 'tokens';
  if (name === 'attention_mask' && shape?.length === 2) return 'mask';
  if (name === 'position_ids' && shape?.length === 2) return 'positions';
  if (name === 'cache_position') return 'positions';
  if (name === TRACE_LENGTH) return 'length';
  if (name === CACHE_BRANCH) return 'the branch without a cache';
  if (isPositionsInput(input)) return 'wanted positions';
  const isFloat = type === 'float32' || type === 'float16';
  return /^past/.test(name) && isFloat && shape ? 'empty cache' : undefined;
}

/**
 * What the inputs beside the tokens are for one whole sequence, computed from the tokens: a mask of ones, positions from
 * 0 on, a KV cache of nothing. Inputs of no known meaning are left out.
 * @param prefix of the names in it
 */
export function inputFeeds(model: OnnxDecoderModel, tokens: OnnxTensor, prefix: string): Graph {
  const graph = createGraph('feeds', { prefix });
  const shape = graph.node('Shape', [{ name: tokens.name }]); // [1, T]
  const length = graph.node('Gather', [shape, int64(graph, [1])]); // [1]
  const scalar = (value: Value): Value => graph.node('Reshape', [value, int64(graph, [], [0])]);
  const [zero, one] = [0, 1].map((value) => int64(graph, [value], [])) as [Value, Value];
  const feeds: Partial<Record<InputMeaning, () => Value>> = {
    mask: () => graph.node('Expand', [int64(graph, [1]), shape]),
    positions: () => graph.node('Range', [zero, scalar(length), one]),
    length: () => length,
  };
  for (const input of model.graph.inputs) {
    const meaning = meaningOf(input);
    if (meaning === 'empty cache') emptyCache(graph, input, model);
    const feed = meaning && feeds[meaning];
    if (!feed || !isInteger(input.type)) continue;
    const rank = input.shape?.length ?? 2;
    const shaped = graph.node('Reshape', [feed(), int64(graph, rank === 2 ? [1, -1] : [-1])]);
    graph.output(input.name, graph.cast(shaped, input.type), input.type, input.shape ?? [1, 'T']);
  }
  return graph;
}

export function isInteger(type: ElementType | undefined): type is 'int32' | 'int64' {
  return type === 'int32' || type === 'int64';
}

/** A KV cache of no tokens: the dimensions that the graph fixes, and for the others what their names say. */
function emptyCache(graph: Graph, input: OnnxTensor, { sizes }: OnnxDecoderModel): void {
  const shape = input.shape!;
  const dims: number[] = [];
  for (const [i, dimension] of shape.entries()) {
    const fromConfig = i === shape.length - 1 ? sizes.headSize : sizes.keyValueHeads;
    if (typeof dimension === 'number') dims.push(dimension);
    else if (i === 0) dims.push(1);
    else if (/past|seq|total|len/i.test(dimension)) dims.push(0);
    else if (fromConfig !== undefined) dims.push(fromConfig);
    else return;
  }
  // Exporters that name no dimension put the tokens last but one.
  if (!dims.includes(0)) dims[dims.length - 2] = 0;
  graph.constant(input.type!, dims, new Uint8Array(), input.name);
}
