import type { ScorerTokenizer } from '@scorer/core/tokenizer';

export interface Steps {
  /** The text cut after each step end; a tail without a step end is the last one. */
  segments: string[];
  /** Token index of each step end, ascending. */
  positions: number[];
  /** Tokens of the whole text. */
  tokenCount: number;
}

/**
 * Cuts a text after each token whose own decode holds the step separator.
 * @param stepEnds `tokenizer.tokensWith(separator)`
 * @returns undefined where the segments don't join to the text again (or to its NFC, if the tokenizer normalises):
 *   the positions then belong to another text than the one that was given
 */
export function splitSteps(text: string, tokenizer: ScorerTokenizer, stepEnds: ReadonlySet<number>): Steps | undefined {
  const ids = tokenizer.encode(text);
  const positions = [...ids.keys()].filter((index) => stepEnds.has(ids[index]!));
  const starts = [0, ...positions.map((position) => position + 1)];
  const segments = starts
    .map((start, i) => ids.slice(start, starts[i + 1]))
    .filter((segment) => segment.length > 0)
    .map((segment) => tokenizer.decode(segment));
  return joinsTo(text, segments, tokenizer) ? { segments, positions, tokenCount: ids.length } : undefined;
}

function joinsTo(text: string, segments: readonly string[], { normalises }: ScorerTokenizer): boolean {
  const joined = segments.join('');
  return joined === text || (normalises === 'NFC' && joined === text.normalize('NFC'));
}
