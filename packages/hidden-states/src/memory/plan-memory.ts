import { basename, dirname, join } from 'node:path';
import { ScorerError } from '@scorer/core/errors';
import { cardOf, type Device } from '@scorer/core/onnx';
import type { LayerGrouping } from '../decoder/grouped-decoder.js';
import type { AnyModel } from '../model/any-model.js';
import type { OnnxDecoderModel } from '../onnx/load-onnx-model.js';
import { estimateOnnxMemory } from '../onnx/onnx-memory.js';
import { checkLength, describeMemory, longestTrace, type MemoryEstimate, type MemorySettings } from './estimate.js';
import { describeLayerGroups, type LayerGroupCount, type LayerGroupPlan, planLayerGroups } from './layer-groups.js';

export interface RunMemory {
  /** Null where they can't be told. */
  readonly figures: MemoryFigures | null;
  /** Throws for a trace of so many tokens that it does not fit. */
  fits(tokens: number): void;
  /** Left out where the whole model is in memory. */
  readonly grouping?: LayerGrouping | undefined;
}

/** In bytes, for programs. */
export interface MemoryFigures {
  /** For the model, for each token of the trace in hand, and for each pair of them. */
  model: number;
  per_token: number;
  per_token_pair: number;
  available: number;
  /** Tokens of the longest trace that fits. */
  longest_trace: number;
  /** 1 where the whole model is in memory at once. */
  layer_groups: number;
}

export interface RunMemoryOptions extends MemorySettings {
  layerGroups: LayerGroupCount;
  /** Tokens of the longest trace. */
  longest: number;
  outputPath: string;
  /** Bytes that the pass may use on the device; by default what is free on the CPU, or what the card has. */
  availableMemory?: number | undefined;
  onInfo?: ((message: string) => void) | undefined;
}

/**
 * Chooses how the model is held in memory and says what the run will need.
 * @throws ScorerError `MODEL_TOO_LARGE`; `BAD_OPTION` (usage) for groups of an .onnx file's layers
 */
export function planMemory(model: AnyModel, options: RunMemoryOptions): RunMemory {
  const { layerGroups: count, longest, availableMemory = memoryOf(options.device), onInfo } = options;
  const available = availableMemory ?? Number.POSITIVE_INFINITY;
  if (model.kind === 'onnx' && typeof count === 'number' && count > 1) throw onnxInGroups(model.name);
  const plan =
    model.kind === 'onnx'
      ? planWhole(model, estimateOnnxMemory(model, options), available)
      : planLayerGroups(model, options, { count, longest, available });
  const grouping = plan.groups.length > 1 ? groupingOf(plan, options) : undefined;
  if (availableMemory === undefined) {
    onInfo?.('memory: nvidia-smi does not tell how much the card has');
    return { figures: null, fits: () => {}, grouping };
  }
  const { estimate } = plan;
  onInfo?.(
    grouping ? describeLayerGroups(plan, availableMemory) : describeMemory(estimate, plan.longest, availableMemory),
  );
  return {
    figures: {
      model: estimate.model,
      per_token: estimate.perToken,
      per_token_pair: estimate.perTokenPair ?? 0,
      available: availableMemory,
      longest_trace: plan.longest,
      layer_groups: plan.groups.length,
    },
    fits: (tokens) => checkLength(tokens, plan.longest, estimate),
    grouping,
  };
}

function planWhole(model: OnnxDecoderModel, estimate: MemoryEstimate, available: number): LayerGroupPlan {
  return {
    groups: [{ first: 1, last: model.spec.layerCount }],
    estimate,
    longest: longestTrace(estimate, available),
    batch: { tokens: 0, memory: 0 },
  };
}

function groupingOf(
  { groups, batch }: ReturnType<typeof planLayerGroups>,
  { outputPath, onInfo }: RunMemoryOptions,
): LayerGrouping {
  let isTold = false;
  return {
    groups,
    batchTokens: batch.tokens,
    memory: batch.memory,
    path: join(dirname(outputPath), `.${basename(outputPath)}.${process.pid}.residuals`),
    onBatch({ all, loading }) {
      if (!isTold) onInfo?.(describeLoading(all, loading));
      isTold = true;
    },
  };
}

function describeLoading(all: number, loading: number): string {
  const percent = Math.round((100 * loading) / all);
  return `groups: the first batch took ${Math.round(all)} s, of which loading weights ${loading.toFixed(1)} s (${percent} %)`;
}

/** What is free on the CPU; on a card all there is, since a decoder that is already open takes a part of it. */
function memoryOf(device: Device): number | undefined {
  return device === 'cpu' ? process.availableMemory() : cardOf(device)?.memory;
}

function onnxInGroups(name: string): ScorerError {
  return new ScorerError({
    code: 'BAD_OPTION',
    kind: 'usage',
    what: 'the layers of an .onnx file are run all at once',
    where: '--layer-groups',
    hint: `name the Hugging Face folder that ${name} was made from`,
  });
}
