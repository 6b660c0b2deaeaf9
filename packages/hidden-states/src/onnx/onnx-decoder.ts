import { ScorerError } from '@scorer/core/errors';
import { createGraph, cutModel, int64, type OnnxTensor, openSession, type TensorData } from '@scorer/core/onnx';
import type { Storage } from '@scorer/core/schema';
import { OUTPUT_TYPE, POSITIONS } from '../graph/decoder-graph.js';
import { TRACE_LENGTH } from '../graph/sequence.js';
import { type Decoder, type DecoderOptions, storedBytes } from '../run/decoder.js';
import { type OnnxDecoderModel, selectsPositions } from './load-onnx-model.js';

/** Of everything that is added to a graph, so that no name clashes with its own. */
const PREFIX = 'scorer.';

/**
 * Loads a decoder out of an .onnx file: what leads to the wanted layers' states and nothing else, with the rows at the
 * wanted positions selected in the graph. A KV cache is fed empty, and every trace runs as a whole.
 * @throws ScorerError `ONNX_LAYER_MISSING`, `ONNX_INPUT_UNKNOWN`, and the codes of core's `openSession`
 */
export async function openOnnxDecoder(
  model: OnnxDecoderModel,
  options: Omit<DecoderOptions, 'compute'>,
): Promise<Decoder> {
  const { layers, storage, device, threads } = options;
  const { bytes, inputs, positionsInput } = hiddenStatesGraph(model, layers, storage);
  const fillers = inputs.map((input) => [input.name, filler(input, model)] as const);
  const session = await openSession(bytes, {
    device,
    threads,
    varyingLengths: true,
    externalDataFolder: model.graph.folder,
  });
  return {
    runtime: session.runtime,
    async hiddenStates({ inputIds, positions }) {
      if (positions.length === 0) return new Map(layers.map((layer) => [layer, new Uint8Array()]));
      const feeds: Record<string, TensorData> = {};
      for (const [name, fill] of fillers) feeds[name] = fill(inputIds);
      feeds[positionsInput] = { type: 'int32', dims: [positions.length], data: positions };
      const outputs = await session.run(feeds, { fetch: layers.map(outputName) });
      return new Map(layers.map((layer) => [layer, storedBytes(outputs[outputName(layer)]!, storage)]));
    },
    close: () => session.close(),
  };
}

const outputName = (layer: number): string => `${PREFIX}hidden_states.${layer}`;

function hiddenStatesGraph(model: OnnxDecoderModel, layers: readonly number[], storage: Storage) {
  const isSelected = selectsPositions(model);
  const graph = createGraph('hidden_states', { prefix: PREFIX });
  const positions = isSelected ? { name: POSITIONS } : graph.input(`${PREFIX}${POSITIONS}`, 'int32', ['S']);
  const type = OUTPUT_TYPE[storage];
  const values = layers.map((layer) => {
    const states = model.states.get(layer);
    if (!states) throw missing(layer, model);
    const value = { name: states.value };
    // [1, T, D] → [1, S, D] → [S, D]
    const selected = isSelected ? value : graph.node('Gather', [value, positions], { attributes: { axis: 1 } });
    const rows = graph.node('Reshape', [selected, int64(graph, [-1, model.spec.hiddenSize])]);
    graph.output(outputName(layer), graph.cast(rows, type), type, ['S', model.spec.hiddenSize]);
    return states.value;
  });
  const { bytes, inputs } = cutModel(model.graph, values, graph);
  return { bytes, inputs: inputs.filter(({ name }) => name !== POSITIONS), positionsInput: positions.name };
}

function missing(layer: number, { problem, graph }: OnnxDecoderModel): ScorerError {
  return new ScorerError({
    code: 'ONNX_LAYER_MISSING',
    what: `the states of layer ${layer} are not to be found: ${problem ?? 'the model does not output them'}`,
    where: graph.files[0]!,
    hint: 'run scorer-hidden-states inspect, or name the Hugging Face folder that it was made from',
  });
}

type Filler = (inputIds: Int32Array) => TensorData;

/** What an input is given for a whole trace in one pass. */
type InputMeaning = 'tokens' | 'mask' | 'positions' | 'length' | 'wanted positions' | 'empty cache';

/** By the names that exporters use; undefined where it is none of them. */
export function meaningOf({ name, type, shape }: OnnxTensor): InputMeaning | undefined {
  if (name === 'input_ids') return 'tokens';
  if (name === 'attention_mask' && shape?.length === 2) return 'mask';
  if (name === 'position_ids' && shape?.length === 2) return 'positions';
  if (name === 'cache_position') return 'positions';
  if (name === TRACE_LENGTH) return 'length';
  if (name === POSITIONS) return 'wanted positions';
  const isFloat = type === 'float32' || type === 'float16';
  return /^past/.test(name) && isFloat && shape ? 'empty cache' : undefined;
}

function filler(input: OnnxTensor, model: OnnxDecoderModel): Filler {
  const meaning = meaningOf(input);
  if (meaning === undefined || meaning === 'wanted positions') throw unknown(input);
  if (meaning === 'empty cache') {
    const empty = emptyCache(input, model);
    return () => empty;
  }
  const rank = input.shape?.length ?? 2;
  const integers = (values: Int32Array): TensorData => {
    const dims = rank === 2 ? [1, values.length] : [values.length];
    if (input.type === 'int64') return { type: 'int64', dims, data: BigInt64Array.from(values, BigInt) };
    if (input.type === 'int32') return { type: 'int32', dims, data: values };
    throw unknown(input);
  };
  const MEANINGS: Record<typeof meaning, Filler> = {
    tokens: (inputIds) => integers(inputIds),
    mask: (inputIds) => integers(new Int32Array(inputIds.length).fill(1)),
    positions: (inputIds) => integers(inputIds.map((_, i) => i)),
    length: (inputIds) => integers(Int32Array.of(inputIds.length)),
  };
  return MEANINGS[meaning];
}

/** A KV cache of no tokens: the dimensions that the graph fixes, and for the others what their names say. */
function emptyCache(input: OnnxTensor, { cache }: OnnxDecoderModel): TensorData {
  const { shape } = input;
  const dims = shape!.map((dimension, i) => {
    if (typeof dimension === 'number') return dimension;
    if (i === 0) return 1;
    if (/past|seq|total|len/i.test(dimension)) return 0;
    const size = i === shape!.length - 1 ? cache.headSize : cache.heads;
    if (size === undefined) throw unknown(input);
    return size;
  });
  // Exporters that name no dimension put the tokens last but one.
  if (!dims.includes(0)) dims[dims.length - 2] = 0;
  return input.type === 'float16'
    ? { type: 'float16', dims, data: new Uint16Array() }
    : { type: 'float32', dims, data: new Float32Array() };
}

function unknown({ name, type, shape }: OnnxTensor): ScorerError {
  return new ScorerError({
    code: 'ONNX_INPUT_UNKNOWN',
    what: `it is not known what to feed to the input ${name} (${type ?? 'of another type'} [${shape ?? '?'}])`,
    where: '--model-name',
    hint: 'export the model as a plain decoder, or name the Hugging Face folder that it was made from',
  });
}
