import type { StatesAndConfidence } from '../../decoder/decoder.js';
import type { ShardRun } from './shard-run.js';
import type { TokenizedTrace } from './tokenize-line.js';
import type { TraceTokens } from './trace-tokens.js';

/** A trace on its way through the decoder. */
export interface PendingTrace extends TokenizedTrace {
  readonly outputs: Promise<Partial<StatesAndConfidence> & Pick<StatesAndConfidence, 'states'>>;
}

/** @param previous trace, whose outputs are taken where this one is identical */
export function startTrace(
  trace: TokenizedTrace,
  { decoder, confidence, progress, signal }: ShardRun,
  previous: PendingTrace | undefined,
): PendingTrace {
  const { inputIds, stepPositions, promptLength } = trace.tokens;
  if (previous && isSameTrace(trace.tokens, previous.tokens)) return { ...trace, outputs: previous.outputs };
  const onLayers = (share: number): void => progress.computed(trace, share);
  const sequence = { inputIds, positions: stepPositions, promptLength, signal, onLayers };
  const outputs = confidence
    ? decoder.hiddenStatesAndConfidence(sequence)
    : decoder.hiddenStates(sequence).then((states) => ({ states }));
  // A rejection is met when the trace is stored; should the run end before that, it is nobody's business.
  outputs.catch(() => {});
  return { ...trace, outputs };
}

function isSameTrace(a: TraceTokens, b: TraceTokens): boolean {
  const isSame = (x: Int32Array, y: Int32Array): boolean =>
    x.length === y.length && x.every((value, i) => value === y[i]);
  return (
    a.promptLength === b.promptLength && isSame(a.stepPositions, b.stepPositions) && isSame(a.inputIds, b.inputIds)
  );
}
