import { existsSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { ScorerError } from '@scorer/core/errors';
import { type OnnxModel, type OnnxTensor, readOnnxModel, takeBranch } from '@scorer/core/onnx';
import { z } from 'zod';
import { POSITIONS } from '../graph/decoder-graph.js';
import type { ComputeType } from '../graph/graph-weights.js';
import { countUpTo, MAX_LAYERS } from '../model/config-keys.js';
import type { DecoderSpec } from '../model/decoder-spec.js';
import { readTextIfPresent } from '../model/folder.js';
import { findResidualStream } from './residual-stream.js';

/** A decoder in an .onnx file: read, checked, not yet loaded. */
export interface OnnxDecoderModel {
  readonly kind: 'onnx';
  /** Where its tokenizer and configuration are: the file's folder or the one above. */
  readonly folder: string;
  /** That folder's base name, and the file in it. */
  readonly name: string;
  readonly graph: OnnxModel;
  readonly spec: Pick<DecoderSpec, 'layerCount' | 'hiddenSize'>;
  /** What configuration files beside it tell of its layers. */
  readonly sizes: DecoderSizes;
  readonly compute: ComputeType;
  /** By layer, numbered as everywhere. */
  readonly states: ReadonlyMap<number, LayerStates>;
  /** Why some layers are not in `states`. */
  readonly problem: string | undefined;
}

/** The value of the graph that holds a layer's states. */
interface LayerStates {
  readonly value: string;
  /** It is an output already; others are made outputs when the model is opened. */
  readonly isOutput: boolean;
}

/** Outputs that exporters give a number as transformers does: hidden_states.0 … */
const NUMBERED_OUTPUT = /^(?:scorer\d*\.|all_|decoder_)?hidden_states?[._-]?(\d+)$/;

/** Input of optimum's older decoders: false for the branch that takes no KV cache. */
export const CACHE_BRANCH = 'use_cache_branch';

const POSITIONS_INPUT = new RegExp(`^(?:scorer\\d*\\.)?${POSITIONS}$`);

/** `past_key_values.0.key`, of which `past_key_values.0.value` is the other half; or `past_key_0`. */
const PAST_KEY = /^past.*[._]key$|^past_keys?[._]?\d+$/;

/**
 * Opens an .onnx file with a decoder, as optimum, onnxruntime-genai, torch.onnx or this package's `export` write it.
 * @throws ScorerError `ONNX_LAYOUT_UNSUPPORTED` where not even the number of layers can be found out, and the codes of `readOnnxModel`
 */
export async function loadOnnxModel(path: string): Promise<OnnxDecoderModel> {
  const graph = takeBranch(await readOnnxModel(path), CACHE_BRANCH, false);
  const folder = configFolder(path);
  const sizes = await readSizes(folder);
  const numbered = new Map<number, LayerStates>();
  for (const { name } of graph.outputs) {
    const layer = NUMBERED_OUTPUT.exec(name)?.[1];
    if (layer !== undefined) numbered.set(Number(layer), { value: name, isOutput: true });
  }
  const pastLayers = graph.inputs.filter(({ name }) => PAST_KEY.test(name)).length;
  const layerCount = sizes.layers ?? (pastLayers || Math.max(0, ...numbered.keys()));
  const hiddenSize = sizes.hidden ?? lastDimension(graph.outputs, [...numbered.values()][0]?.value);
  if (layerCount === 0 || layerCount > MAX_LAYERS || hiddenSize === undefined) {
    throw new ScorerError({
      code: 'ONNX_LAYOUT_UNSUPPORTED',
      what: 'the number of layers or the hidden size is not known',
      where: path,
      hint: "put the model's config.json beside the .onnx file",
    });
  }
  const { states, problem } = statesOf(graph, layerCount, numbered);
  return {
    kind: 'onnx',
    folder,
    name: join(basename(resolve(folder)), relative(folder, path)),
    graph,
    spec: { layerCount, hiddenSize },
    sizes,
    compute: computeTypeOf(graph),
    states,
    problem,
  };
}

function statesOf(
  graph: OnnxModel,
  layerCount: number,
  numbered: ReadonlyMap<number, LayerStates>,
): Pick<OnnxDecoderModel, 'states' | 'problem'> {
  const layers = Array.from({ length: layerCount + 1 }, (_, layer) => layer);
  if (layers.every((layer) => numbered.has(layer))) return { states: numbered, problem: undefined };
  const stream = findResidualStream(graph);
  if ('problem' in stream) return { states: numbered, problem: stream.problem };
  const { sums, normed } = stream;
  const connections = sums.length - 1;
  if (connections % layerCount !== 0) {
    const problem = `it has ${connections} residual connections, which ${layerCount} layers can't share equally`;
    return { states: numbered, problem };
  }
  const outputs = new Set(graph.outputs.map(({ name }) => name));
  const states = layers.map((layer): [number, LayerStates] => {
    const value = layer === layerCount ? normed : sums[(layer * connections) / layerCount]!;
    return [layer, numbered.get(layer) ?? { value, isOutput: outputs.has(value) }];
  });
  return { states: new Map(states), problem: undefined };
}

/**
 * The input that takes the wanted positions, of files that this package wrote: their states come selected, [S, D], and
 * those of others as [1, T, D].
 */
export function positionsInput({ graph }: OnnxDecoderModel): OnnxTensor | undefined {
  return graph.inputs.find(isPositionsInput);
}

export function isPositionsInput({ name }: OnnxTensor): boolean {
  return POSITIONS_INPUT.test(name);
}

function configFolder(path: string): string {
  const folder = dirname(path);
  const isThere = (candidate: string): boolean =>
    ['tokenizer.json', 'config.json', 'genai_config.json'].some((name) => existsSync(join(candidate, name)));
  return isThere(folder) || !isThere(dirname(resolve(folder))) ? folder : dirname(resolve(folder));
}

const size = z.int().positive().optional().catch(undefined);
const layers = countUpTo(MAX_LAYERS).optional().catch(undefined);

const configSchema = z.looseObject({
  num_hidden_layers: layers,
  hidden_size: size,
  num_attention_heads: size,
  num_key_value_heads: size,
  head_dim: size,
  intermediate_size: size,
});

const genaiSchema = z.object({
  model: z.object({
    decoder: z.looseObject({
      num_hidden_layers: layers,
      hidden_size: size,
      num_attention_heads: size,
      num_key_value_heads: size,
      head_size: size,
    }),
  }),
});

interface DecoderSizes {
  readonly layers?: number | undefined;
  readonly hidden?: number | undefined;
  readonly intermediate?: number | undefined;
  readonly heads?: number | undefined;
  readonly keyValueHeads?: number | undefined;
  readonly headSize?: number | undefined;
}

/** What the graph itself may leave open, from transformers' configuration or onnxruntime-genai's. */
async function readSizes(folder: string): Promise<DecoderSizes> {
  const config = configSchema.safeParse(await readJson(join(folder, 'config.json')));
  const genai = genaiSchema.safeParse(await readJson(join(folder, 'genai_config.json')));
  const c = config.success ? config.data : {};
  const g = genai.success ? genai.data.model.decoder : {};
  const impliedHead = c.hidden_size && c.num_attention_heads ? c.hidden_size / c.num_attention_heads : undefined;
  return {
    layers: c.num_hidden_layers ?? g.num_hidden_layers,
    hidden: c.hidden_size ?? g.hidden_size,
    intermediate: c.intermediate_size,
    heads: c.num_attention_heads ?? g.num_attention_heads,
    keyValueHeads: c.num_key_value_heads ?? g.num_key_value_heads ?? c.num_attention_heads,
    headSize: c.head_dim ?? g.head_size ?? impliedHead,
  };
}

async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse((await readTextIfPresent(path)) ?? 'null');
  } catch {
    return undefined;
  }
}

function lastDimension(outputs: readonly OnnxTensor[], name: string | undefined): number | undefined {
  const dimension = outputs.find((output) => output.name === name)?.shape?.at(-1);
  return typeof dimension === 'number' ? dimension : undefined;
}

/** The arithmetic between the layers, by the types at the graph's rim. */
function computeTypeOf({ inputs, outputs }: OnnxModel): ComputeType {
  const floats = [...inputs, ...outputs].map(({ type }) => type);
  return floats.find((type) => type === 'float16' || type === 'bfloat16') ?? 'float32';
}
