import { foldedParameters } from './fold.js';
import { type Forward, openForward } from './forward.js';
import type { NetworkShape, Parameters } from './network.js';
import { RUNTIMES, type Runtime, type RuntimeOptions } from './runtime.js';
import { openTrainer } from './trainer.js';

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
  /** Number of the question of each row; needed by the pairwise loss. */
  readonly groups?: Int32Array | undefined;
}

/** Adam as in PyTorch: `weightDecay` · w is added to the gradient (L2), ε stands outside the square root. */
export interface AdamOptions {
  readonly learningRate: number;
  /** What the learning rate is multiplied by at a step (from 1); 1 where left out. */
  readonly schedule?: ((step: number) => number) | undefined;
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

/** What training makes small: a mean over the rows, or over the pairs, of one batch. */
export type Loss =
  /** PyTorch's BCEWithLogitsLoss with the `pos_weight` of right rows; labels may be any probabilities. */
  | { readonly kind: 'bce'; readonly positiveWeight: number }
  /**
   * softplus(−(z_i − z_j)) over the pairs of rows of one question where labels[i] > labels[j] (RankNet, Burges et al.
   * 2005). A batch without such a pair has loss 0 and gradient 0.
   */
  | { readonly kind: 'pairwise' };

/** A fixed linear map of the rows before the network: x ↦ ((x − mean) / scale) · componentsᵀ. */
export interface InputTransform {
  /** [D] */
  readonly mean: Float32Array;
  /** [D], none of them 0. */
  readonly scale: Float32Array;
  /** [k, D] row-major: the network's first Linear then has k columns. */
  readonly components?: Float32Array | undefined;
}

/** The engines that there are: ONNX Runtime, and TensorFlow.js. */
export type EngineName = 'onnx' | 'tfjs';

export interface EngineOptions extends RuntimeOptions {
  /** For rows as they come: its inputSize is D, also where `inputTransform` leaves less of them to the first Linear. */
  readonly network: NetworkShape;
  /** How rows come. */
  readonly rowType: FeatureRows['type'];
  readonly adam: AdamOptions;
  readonly loss: Loss;
  /** Probability that a hidden unit is left out of a training step, drawn for each row; 0 for none. */
  readonly dropout: number;
  /** Decides with the step which units are left out. */
  readonly seed: number;
  readonly inputTransform?: InputTransform | undefined;
}

/** Training on some runtime, off the main thread. */
export interface Engine {
  /** Name and version of the runtime. */
  readonly runtime: string;
  /** Takes one optimiser step a batch, in order. Returns the mean loss of each batch before its step, [batches]. */
  trainBatches(run: BatchRun): Promise<Float32Array>;
  /** Logits of rows under the present weights, as the scorer gives them that would be saved now, [R]. */
  predict(rows: FeatureRows): Promise<Float32Array>;
  state(): Promise<TrainingState>;
  close(): Promise<void>;
}

/**
 * Starts an engine from `state`, whose parameters are those of `trainedNetwork`.
 * @throws ScorerError `ONNXRUNTIME_MISSING`, `CUDA_UNAVAILABLE`, `ENGINE_NOT_AVAILABLE`
 */
export function createEngine(name: EngineName, options: EngineOptions, state: TrainingState): Promise<Engine> {
  return createEngineOn(RUNTIMES[name], options, state);
}

/** The engine that a runtime makes: training and scoring are a graph each. */
export async function createEngineOn(runtime: Runtime, options: EngineOptions, state: TrainingState): Promise<Engine> {
  const trainer = await openTrainer(runtime, options, state);
  let opening: Promise<Forward> | undefined;
  let forwardIsCurrent = false;
  return {
    runtime: trainer.runtime,
    trainBatches(run) {
      forwardIsCurrent = false;
      return trainer.trainBatches(run);
    },
    async predict(rows) {
      opening ??= openForward(runtime, { ...options, onWarning: undefined });
      const forward = await opening;
      if (!forwardIsCurrent) {
        forward.setWeights(foldedParameters(options.network, await trainer.weights(), options.inputTransform));
        forwardIsCurrent = true;
      }
      return forward.logits(rows);
    },
    state: () => trainer.state(),
    async close() {
      await Promise.all([trainer.close(), opening?.then((forward) => forward.close())]);
    },
  };
}

/** The state before the first batch. */
export function initialState(weights: Parameters): TrainingState {
  const zeros = (): Parameters =>
    Object.fromEntries(Object.entries(weights).map(([name, { length }]) => [name, new Float32Array(length)]));
  return { step: 0, weights, gradientSums: zeros(), squareSums: zeros() };
}
