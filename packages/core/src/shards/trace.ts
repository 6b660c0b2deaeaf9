import { ScorerError } from '../errors/index.js';
import { invalidConfidence, type TokenConfidence } from './confidence.js';
import { type ShardShape, STORAGE_BYTES, TEXT_NAMES, type TextName } from './layout.js';
import { firstInvalidLabel } from './step-labels.js';

/** One trace with all that a shard keeps of it. */
export interface TraceStates {
  /** 0-based line number in the step-record file. */
  traceIndex: number;
  isCorrect: boolean;
  /** Tokens of prompt + forward text. */
  inputIds: Int32Array;
  /** Token index of each step end, ascending. */
  stepPositions: Int32Array;
  /** 0 prompt, 1 reasoning, for each step. */
  stepRegions: Uint8Array;
  /** [steps]: 0 … 1, how right each step is, or -1 where it has no label; undefined where no step has one. */
  stepLabels?: Float32Array | undefined;
  /** Of the last tokens; in a shard with `confidenceTopK`, and in no other. */
  confidence?: TokenConfidence | undefined;
  texts: Readonly<Record<TextName, string>>;
  /** By layer: [steps, hiddenSize] row-major in the storage dtype, little endian. */
  hiddenStates: ReadonlyMap<number, Uint8Array>;
}

/**
 * A trace must fit its shard before a byte of it is written.
 * @throws ScorerError `SHARD_TRACE_INVALID` (usage: the caller computed it)
 */
export function checkTrace(trace: TraceStates, shape: ShardShape): void {
  const { layers, hiddenSize, storage, confidenceTopK } = shape;
  const { traceIndex, inputIds, stepPositions, stepRegions, stepLabels, confidence, texts, hiddenStates } = trace;
  const steps = stepPositions.length;
  const check = (holds: boolean, what: string): void => {
    if (holds) return;
    throw new ScorerError({ code: 'SHARD_TRACE_INVALID', kind: 'usage', what, where: `trace ${traceIndex}` });
  };

  check(Number.isSafeInteger(traceIndex) && traceIndex >= 0, 'its index is no natural number');
  check(stepRegions.length === steps, `${stepRegions.length} step regions for ${steps} steps`);
  check(
    stepRegions.every((region) => region <= 1),
    'a step region is neither 0 nor 1',
  );
  check(
    stepPositions.every((position, i) => position > (stepPositions[i - 1] ?? -1)),
    'step positions do not ascend',
  );
  check((stepPositions.at(-1) ?? -1) < inputIds.length, 'a step ends after the last token');
  if (stepLabels) {
    check(stepLabels.length === steps, `${stepLabels.length} step labels for ${steps} steps`);
    check(firstInvalidLabel(stepLabels) === -1, 'a step label is neither 0 … 1 nor -1');
  }
  const hasConfidence = confidence !== undefined;
  check(hasConfidence === (confidenceTopK !== undefined), `${hasConfidence ? 'a' : 'no'} confidence, unlike its shard`);
  if (confidence) {
    const { logprobs, confidences } = confidence;
    check(logprobs.length === confidences.length, `${logprobs.length} logprobs, ${confidences.length} confidences`);
    check(logprobs.length <= inputIds.length, `confidence of ${logprobs.length} tokens, it has ${inputIds.length}`);
    const wrong = invalidConfidence(confidence);
    check(wrong === undefined, wrong ?? '');
  }
  check(hiddenStates.size === layers.length, `${hiddenStates.size} layers, the shard keeps ${layers.length}`);
  const bytes = steps * hiddenSize * STORAGE_BYTES[storage];
  for (const layer of layers) {
    const got = hiddenStates.get(layer)?.length;
    check(
      got === bytes,
      `layer ${layer} has ${got ?? 'no'} bytes, [${steps}, ${hiddenSize}] ${storage} takes ${bytes}`,
    );
  }
  for (const name of TEXT_NAMES) check(!LONE_SURROGATE.test(texts[name]), `${name} holds half a surrogate pair`);
}

/** With the u flag a pair is one character, so that only half a pair matches. */
const LONE_SURROGATE = /\p{Surrogate}/u;
