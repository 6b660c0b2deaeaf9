import { ScorerError } from '../errors/index.js';
import { type ShardShape, STORAGE_BYTES, TEXT_NAMES, type TextName } from './layout.js';

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
  texts: Readonly<Record<TextName, string>>;
  /** By layer: [steps, hiddenSize] row-major in the storage dtype, little endian. */
  hiddenStates: ReadonlyMap<number, Uint8Array>;
}

/**
 * A trace must fit its shard before a byte of it is written.
 * @throws ScorerError `SHARD_TRACE_INVALID` (usage: the caller computed it)
 */
export function checkTrace(trace: TraceStates, { layers, hiddenSize, storage }: ShardShape): void {
  const { traceIndex, inputIds, stepPositions, stepRegions, texts, hiddenStates } = trace;
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
