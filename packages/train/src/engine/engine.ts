import { ScorerError } from '@scorer/core/errors';
import type { Device } from '@scorer/core/onnx';
import { forEachParameter, type NetworkShape, type Parameters } from './network.js';
import { createOnnxEngine } from './onnx.js';

/** Rows of features as they stand in storage, [R, D] row-major; float16 as its bits. */
export type FeatureRows =
  | { readonly type: 'float16'; readonly count: number; readonly data: Uint16Array }
  | { readonly type: 'float32'; readonly count: number; readonly data: Float32Array };

/** Successive minibatches of one size, which an engine takes in one call. */
export interface BatchRun {
  readonly batchSize: number;
  /** The rows of all batches, one batch after the other: their count is a multiple of `batchSize`. */
  readonly rows: FeatureRows;
  /** Target probability of each row: 1 = right, 0 = wrong. */
  readonly labels: Float32Array;
}

/** Adam as in PyTorch: `weightDecay` · w is added to the gradient (L2), ε stands outside the square root. */
export interface AdamOptions {
  readonly learningRate: number;
  readonly weightDecay: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
}

/** All that training carries from batch to batch. */
export interface TrainingState {
  /** Batches seen. */
  readonly step: number;
  readonly weights: Parameters;
  /** Decayed sums of gradients, Σ β1^(t − i) · g_i; PyTorch's `exp_avg` is 1 − β1 times this. */
  readonly gradientSums: Parameters;
  /** Decayed sums of squared gradients, Σ β2^(t − i) · g_i²; PyTorch's `exp_avg_sq` is 1 − β2 times this. */
  readonly squareSums: Parameters;
}

/** The engines that there are. */
export type EngineName = 'onnx';

export interface EngineOptions {
  readonly network: NetworkShape;
  /** How rows come. */
  readonly rowType: FeatureRows['type'];
  readonly adam: AdamOptions;
  /** Weight of right rows in the loss (`pos_weight` of PyTorch's BCEWithLogitsLoss). */
  readonly positiveWeight: number;
  readonly device: Device;
  /** Threads of one operator; the runtime's own choice where left out. */
  readonly threads?: number | undefined;
}

/** A training step on some runtime, off the main thread. */
export interface Engine {
  /** Name and version of the runtime. */
  readonly runtime: string;
  /** Takes one optimiser step a batch, in order. Returns the mean loss of each batch before its step, [batches]. */
  trainBatches(run: BatchRun): Promise<Float32Array>;
  /** Logits under the present weights, [R]. */
  predict(rows: FeatureRows): Promise<Float32Array>;
  state(): Promise<TrainingState>;
  close(): Promise<void>;
}

/**
 * The engine to use.
 * @throws ScorerError `ENGINE_NOT_AVAILABLE` (usage)
 */
export function resolveEngine(wish: 'auto' | 'onnx' | 'tfjs'): EngineName {
  if (wish !== 'tfjs') return 'onnx';
  throw new ScorerError({
    code: 'ENGINE_NOT_AVAILABLE',
    kind: 'usage',
    what: 'the TensorFlow.js engine is not available yet',
    where: '--engine tfjs',
    hint: 'use --engine onnx',
  });
}

const ENGINES = { onnx: createOnnxEngine };

/**
 * Starts an engine from `state`.
 * @throws ScorerError `ONNXRUNTIME_MISSING`, `CUDA_UNAVAILABLE`
 */
export function createEngine(name: EngineName, options: EngineOptions, state: TrainingState): Promise<Engine> {
  return ENGINES[name](options, state);
}

/** The state before the first batch. */
export function initialState(weights: Parameters): TrainingState {
  const zeros = (): Parameters => forEachParameter((name) => new Float32Array(weights[name].length));
  return { step: 0, weights, gradientSums: zeros(), squareSums: zeros() };
}
