import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { onFile } from '@scorer/core/files';
import type { ScorerConfig } from '@scorer/core/schema';
import { FILES } from './checkpoint.js';
import { readConfig } from './config.js';
import type { EngineName, FeatureRows } from './engine/engine.js';
import { type Forward, type ForwardOptions, openForward } from './engine/forward.js';
import { resolveEngine } from './engine/resolve.js';
import { RUNTIMES } from './engine/runtime.js';
import { readWeights } from './export/read-weights.js';

/** A trained scorer, ready to score rows of features. */
export interface Scorer {
  /** What it reads and how it was trained; undefined for a bare file of weights. */
  readonly config: ScorerConfig | undefined;
  /** Numbers in a row, D. */
  readonly inputSize: number;
  /** Widths of the hidden layers; none for logistic regression. */
  readonly hiddenUnits: readonly number[];
  /** The probability of each row [R, D] that its trace ends right, [R]. */
  score(rows: FeatureRows): Promise<Float32Array>;
  /** Ends its thread. Without it a process ends all the same, but for one with TensorFlow.js. */
  close(): Promise<void>;
  /** As `close`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** Where a scorer runs; on ONNX Runtime where no engine is named and it is installed. */
export interface ScorerOptions extends Pick<ForwardOptions, 'device' | 'threads'> {
  readonly engine?: 'auto' | EngineName | undefined;
}

/**
 * Loads a scorer from its checkpoint folder, or from a bare .safetensors or .pt file with its tensors.
 * @throws ScorerError `SCORER_INVALID`, `SCORER_CONFIG_INVALID`, `FILE_NOT_FOUND`, `ONNXRUNTIME_MISSING`,
 * `ENGINE_NOT_AVAILABLE`, for a .pt file the codes of `openTorch`, …
 */
export async function loadScorer(path: string, options: ScorerOptions = { device: 'cpu' }): Promise<Scorer> {
  const engine = resolveEngine(options.engine ?? 'auto');
  const isFolder = (await onFile(path, () => stat(path))).isDirectory();
  const { network, weights } = await readWeights(isFolder ? join(path, FILES.scorer) : path);
  const config = isFolder ? await readConfig(join(path, FILES.config)) : undefined;

  // A session takes rows of one type.
  const sessions = new Map<FeatureRows['type'], Promise<Forward>>();
  const open = async (type: FeatureRows['type']): Promise<Forward> => {
    const forward = await openForward(RUNTIMES[engine], { ...options, network, rowType: type });
    forward.setWeights(weights);
    return forward;
  };

  const close = async (): Promise<void> => {
    for (const session of sessions.values()) await (await session).close();
  };

  return {
    config,
    ...network,
    async score(rows) {
      if (!sessions.has(rows.type)) sessions.set(rows.type, open(rows.type));
      const forward = await sessions.get(rows.type)!;
      return probabilities(await forward.logits(rows));
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** Entry to a trained scorer: `const scorer = await Scorer.load(folder)`, then `scorer.score(rows)`. */
export const Scorer = { load: loadScorer } as const;

/** The sigmoid of logits. */
export function probabilities(logits: Float32Array): Float32Array {
  return logits.map((z) => 1 / (1 + Math.exp(-z)));
}
