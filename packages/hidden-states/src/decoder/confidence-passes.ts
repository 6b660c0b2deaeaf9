import type { TokenSequence } from './decoder.js';
import type { SequencePass } from './layer-session.js';

/**
 * With so few tokens up to the last wanted state, these run once more on their own: tokens are cut into chunks for the
 * states (`STATE_TOKENS`), and such small ones would be slow for all that follow. A single token is even computed by
 * other kernels.
 */
const FEW_TOKENS = 128;

/**
 * What to run for the hidden states of a sequence and the confidence of its tokens: one pass gives both, or the first
 * gives the states and the last the confidence. None where nothing is wanted.
 */
export function confidencePasses(sequence: TokenSequence): SequencePass[] {
  const { inputIds, positions, promptLength = 0 } = sequence;
  const statesOnly = { ...sequence, confidence: false };
  const both = { ...sequence, confidence: true };
  if (inputIds.length <= Math.max(1, promptLength)) return positions.length > 0 ? [statesOnly] : [];
  const stateTokens = (positions.at(-1) ?? -1) + 1 - promptLength;
  if (positions.length === 0 || stateTokens > FEW_TOKENS) return [both];
  // With the same positions in the prompt that is the same part of both, and computed once.
  const inPrompt = positions.filter((position) => position < promptLength);
  // Of the two the second is nearly all the work.
  return [
    { ...statesOnly, onLayers: undefined },
    { ...both, positions: inPrompt },
  ];
}
