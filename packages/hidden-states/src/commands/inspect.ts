import { type Command, parseOptions } from '@scorer/core/cli';
import { ScorerError } from '@scorer/core/errors';
import type { OnnxTensor } from '@scorer/core/onnx';
import { z } from 'zod';
import { estimateMemory, gibibytes, type MemoryEstimate } from '../memory/estimate.js';
import { loadAnyModel } from '../model/any-model.js';
import type { DecoderModel } from '../model/load-model.js';
import { meaningOf } from '../onnx/input-feeds.js';
import type { OnnxDecoderModel } from '../onnx/load-onnx-model.js';
import { estimateOnnxMemory } from '../onnx/onnx-memory.js';
import { modelOptions, modelOptionsSchema } from './model-options.js';

const optionsSchema = z.object(modelOptionsSchema);

export const inspectCommand: Command = {
  name: 'inspect',
  describe: 'Show what a model offers: architecture, layers, sizes; of an .onnx file inputs and outputs',
  options: modelOptions,
  async run(args, { signal, onProgress }) {
    const { modelName, revision, ignoreConfigKeys: ignoreKeys } = parseOptions(optionsSchema, args);
    const model = await loadAnyModel(modelName, { ignoreKeys, revision, signal, onProgress });
    return model.kind === 'onnx' ? describeOnnx(model) : describeFolder(model);
  },
};

function describeFolder(model: DecoderModel) {
  const { name, spec, weights } = model;
  const memory = estimateMemory(model, { layers: [spec.layerCount], compute: 'float32', device: 'cpu' });
  const json = {
    model: name,
    architecture: spec.architecture,
    layers: spec.layerCount,
    hidden_size: spec.hiddenSize,
    heads: spec.headCount,
    key_value_heads: spec.keyValueHeadCount,
    head_size: spec.headSize,
    ...(spec.experts && {
      experts: spec.experts.count,
      experts_a_token: spec.experts.perToken,
      expert_layers: spec.experts.inLayer.filter(Boolean).length,
    }),
    vocabulary_size: spec.vocabularySize,
    context_length: spec.contextLength,
    tensors: weights.tensors.size,
    weight_bytes: [...weights.tensors.values()].reduce((sum, { length }) => sum + length, 0),
  };
  const text = [...rowsOf(json), layersRow(spec.layerCount), memoryRow(memory)].join('\n');
  return { json: { ...json, cpu_memory: memoryJson(memory) }, text };
}

function describeOnnx(model: OnnxDecoderModel) {
  const { name, graph, spec, compute, states, problem } = model;
  const layers = Array.from({ length: spec.layerCount + 1 }, (_, layer) => layer);
  const where = (isOutput: boolean): number[] => layers.filter((layer) => states.get(layer)?.isOutput === isOutput);
  const layerOf = new Map([...states].map(([layer, { value }]) => [value, layer]));
  const sizes = { model: name, layers: spec.layerCount, hidden_size: spec.hiddenSize, dtype: compute };
  const inputs = graph.inputs.map((input) => ({ ...shapeOf(input), fed: meaningOf(input) ?? null }));
  const outputs = graph.outputs.map((output) => ({ ...shapeOf(output), layer: layerOf.get(output.name) ?? null }));
  const lastLayer = layers.findLast((layer) => states.has(layer));
  const memory = lastLayer === undefined ? undefined : onnxMemory(model, lastLayer);
  const json = {
    ...sizes,
    inputs,
    outputs,
    layers_output: where(true),
    layers_added: where(false),
    layers_missing: layers.filter((layer) => !states.has(layer)),
    problem: problem ?? null,
    cpu_memory: memory ? memoryJson(memory) : null,
  };
  const lines = [
    ...rowsOf(sizes),
    'inputs',
    ...inputs.map(({ name, type, shape, fed }) => `  ${name} ${type} [${shape}]: ${fed ?? 'NOT KNOWN'}`),
    'outputs',
    ...outputs.map(({ name, type, shape, layer }) => {
      const use = layer === null ? 'not used' : `hidden states of layer ${layer}`;
      return `  ${name} ${type} [${shape}]: ${use}`;
    }),
    'hidden states',
    `  of layers ${json.layers_output.join(', ') || '(none)'}: outputs of the file`,
    `  of layers ${json.layers_added.join(', ') || '(none)'}: inside of the graph, made outputs when it is opened`,
  ];
  if (problem) lines.push(`  of layers ${json.layers_missing.join(', ')}: not found, since ${problem}`);
  lines.push(layersRow(spec.layerCount));
  if (memory) lines.push(memoryRow(memory));
  return { json, text: lines.join('\n') };
}

function shapeOf({ name, type, shape }: OnnxTensor) {
  return { name, type: type ?? 'another type', shape: shape ?? ['?'] };
}

function rowsOf(values: Readonly<Record<string, string | number>>): string[] {
  return Object.entries(values).map(([key, value]) => `${key.replaceAll('_', ' ').padEnd(16)} ${value}`);
}

function layersRow(layerCount: number): string {
  return `${'--layers'.padEnd(16)} 0 (embeddings) to ${layerCount} (after the final norm)`;
}

/** Undefined for a graph that can't be run, whose inputs tell why. */
function onnxMemory(model: OnnxDecoderModel, layer: number): MemoryEstimate | undefined {
  try {
    return estimateOnnxMemory(model, { layers: [layer], device: 'cpu' });
  } catch (error) {
    if (error instanceof ScorerError) return undefined;
    throw error;
  }
}

/** What a pass takes on the CPU, up to the last layer that is there. */
function memoryRow({ model, perToken, perTokenPair = 0 }: MemoryEstimate): string {
  const tokens = 1000;
  const more = gibibytes(perToken * tokens + perTokenPair * tokens ** 2);
  return `${'memory on cpu'.padEnd(16)} ${gibibytes(model)}, and ${more} for a trace of 1,000 tokens`;
}

/** In bytes. */
function memoryJson({ model, perToken, perTokenPair = 0 }: MemoryEstimate) {
  return { model, per_token: perToken, per_token_pair: perTokenPair };
}
