import { ScorerError } from '@scorer/core/errors';
import type { Storage } from '@scorer/core/schema';
import type { TokenConfidence } from '@scorer/core/shards';

/** Bits of the exponent; all set means infinite or, with a bit of the fraction, not a number. */
const EXPONENT: Record<Storage, number> = { F16: 0x7c00, BF16: 0x7f80, F32: 0x7f800000 };
const FRACTION: Record<Storage, number> = { F16: 0x03ff, BF16: 0x007f, F32: 0x007fffff };

/**
 * Refuses states that are not finite: a value past the storage type's range, or a model that diverged.
 * @throws ScorerError `NOT_FINITE`
 */
export function checkFinite(hiddenStates: ReadonlyMap<number, Uint8Array>, storage: Storage): void {
  const mask = EXPONENT[storage];
  for (const [layer, bytes] of hiddenStates) {
    const words = storage === 'F32' ? Uint32Array : Uint16Array;
    const bits = new words(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength / words.BYTES_PER_ELEMENT);
    for (let i = 0; i < bits.length; i++) {
      if ((bits[i]! & mask) === mask) {
        const isNumber = (bits[i]! & FRACTION[storage]) === 0;
        throw new ScorerError({
          code: 'NOT_FINITE',
          what: `layer ${layer} has a value that ${isNumber ? `${storage} can't hold` : 'is not a number'}`,
          hint: isNumber && storage === 'F16' ? 'try --storage bf16 or f32' : 'check the model',
        });
      }
    }
  }
}

/**
 * Refuses confidence that is not finite: logits past the range of the arithmetic.
 * @throws ScorerError `NOT_FINITE`
 */
export function checkFiniteConfidence({ logprobs, confidences }: TokenConfidence): void {
  const isWrong = logprobs.findIndex((logprob, i) => !Number.isFinite(logprob) || !Number.isFinite(confidences[i]));
  if (isWrong === -1) return;
  const what = `the log-probability of token ${isWrong} after the prompt is not finite`;
  throw new ScorerError({ code: 'NOT_FINITE', what, hint: 'check the model, or try another --dtype' });
}
