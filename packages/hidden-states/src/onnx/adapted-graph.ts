import { ScorerError } from '@scorer/core/errors';
import { type CutModel, createGraph, cutModel, int64, type OnnxModel, type OnnxTensor } from '@scorer/core/onnx';
import type { Storage } from '@scorer/core/schema';
import { hiddenStatesOutput, OUTPUT_TYPE, POSITIONS } from '../graph/decoder-graph.js';
import { inputFeeds, isInteger, meaningOf } from './input-feeds.js';
import { type OnnxDecoderModel, positionsInput } from './load-onnx-model.js';

/** The graph of an .onnx file, made to give hidden states. */
export interface AdaptedGraph extends CutModel {
  /** [1, T], of the type that the file has. */
  readonly tokens: OnnxTensor;
  /** Name of the input int32 [S]. */
  readonly positions: string;
  /** Name of the output of a layer, [S, D]. */
  outputOf(layer: number): string;
}

/**
 * What of the file's graph leads to the wanted layers' states and nothing else, with the rows at the wanted positions
 * selected in it. Its inputs are tokens and positions: the others are computed in the graph, for one whole sequence.
 * @throws ScorerError `ONNX_LAYER_MISSING`, `ONNX_INPUT_UNKNOWN`
 */
export function adaptGraph(
  model: OnnxDecoderModel,
  { layers, storage }: { layers: readonly number[]; storage: Storage },
): AdaptedGraph {
  const taken = namesIn(model.graph);
  const prefix = freePrefix(taken);
  const free = (name: string): string => (taken.has(name) ? `${prefix}${name}` : name);
  const outputOf = (layer: number): string => free(hiddenStatesOutput(layer));

  const selecting = positionsInput(model);
  const graph = createGraph('hidden_states', { prefix });
  const positions = selecting ? { name: selecting.name } : graph.input(free(POSITIONS), 'int32', ['S']);
  const type = OUTPUT_TYPE[storage];
  const values = layers.map((layer) => {
    const states = model.states.get(layer);
    if (!states) throw missing(layer, model);
    const value = { name: states.value };
    // [1, T, D] → [1, S, D] → [S, D]
    const selected = selecting ? value : graph.node('Gather', [value, positions], { attributes: { axis: 1 } });
    const rows = graph.node('Reshape', [selected, int64(graph, [-1, model.spec.hiddenSize])]);
    graph.output(outputOf(layer), graph.cast(rows, type), type, ['S', model.spec.hiddenSize]);
    return states.value;
  });

  const tokens = model.graph.inputs.find((input) => meaningOf(input) === 'tokens' && isInteger(input.type));
  const feeds = tokens && inputFeeds(model, tokens, `${prefix}feed.`);
  const cut = cutModel(model.graph, values, graph, feeds);
  const unknown = cut.inputs.find(({ name }) => name !== tokens?.name && name !== positions.name);
  if (unknown) throw inputUnknown(unknown);
  if (!tokens) throw inputUnknown({ name: 'input_ids', type: undefined, shape: undefined, typeNumber: 0 });
  return { ...cut, tokens, positions: positions.name, outputOf };
}

function namesIn({ inputs, nodes, initializers }: OnnxModel): ReadonlySet<string> {
  return new Set([
    ...inputs.map(({ name }) => name),
    ...nodes.flatMap(({ outputs, captured }) => [...outputs, ...captured]),
    ...initializers.keys(),
  ]);
}

/** Of everything that is added to a graph, so that no name clashes with its own, or with what was added before. */
function freePrefix(taken: ReadonlySet<string>): string {
  const isTaken = (prefix: string): boolean => [...taken].some((name) => name.startsWith(prefix));
  for (let n = 1; ; n++) {
    const prefix = n === 1 ? 'scorer.' : `scorer${n}.`;
    if (!isTaken(prefix)) return prefix;
  }
}

function missing(layer: number, { problem, graph }: OnnxDecoderModel): ScorerError {
  return new ScorerError({
    code: 'ONNX_LAYER_MISSING',
    what: `the states of layer ${layer} are not to be found: ${problem ?? 'the model does not output them'}`,
    where: graph.files[0]!,
    hint: 'run scorer-hidden-states inspect, or name the Hugging Face folder that it was made from',
  });
}

function inputUnknown({ name, type, shape }: OnnxTensor): ScorerError {
  return new ScorerError({
    code: 'ONNX_INPUT_UNKNOWN',
    what: `it is not known what to feed to the input ${name} (${type ?? 'of another type'} [${shape ?? '?'}])`,
    where: '--model-name',
    hint: 'export the model as a plain decoder, or name the Hugging Face folder that it was made from',
  });
}
