import type { ScorerTokenizer } from '@scorer/core/tokenizer';

interface Steps {
  /** The text cut after each step end; a tail without a step end is the last one. */
  readonly segments: string[];
  /** Token index of each step end, ascending. */
  readonly positions: number[];
  /** Tokens of the whole text. */
  readonly tokenCount: number;
}

/**
 * Cuts a text after each token whose own decode holds the step separator. Returns undefined where the segments don't
 * join to the text again (or to its NFC, if the tokenizer normalises): the positions then belong to another text than
 * the one that was given.
 */
export type StepSplitter = (text: string) => Steps | undefined;

/** Samples of one question mostly follow each other, and at a low temperature some are the same. */
const REMEMBERED_TEXTS = 32;

/** Of longer texts as many as are remembered would fill the memory. */
const MAX_REMEMBERED_LENGTH = 2 ** 17;

/** A splitter for the texts of a run; a text that came a short while ago is not tokenized again. */
export function createStepSplitter(tokenizer: ScorerTokenizer, separator: string): StepSplitter {
  const stepEnds = tokenizer.tokensWith(separator);
  const known = new Map<string, Steps | undefined>();

  return (text) => {
    if (known.has(text)) return known.get(text);
    const steps = splitSteps(text, tokenizer, stepEnds);
    if (text.length <= MAX_REMEMBERED_LENGTH) {
      if (known.size === REMEMBERED_TEXTS) known.delete(known.keys().next().value!);
      known.set(text, steps);
    }
    return steps;
  };
}

function splitSteps(text: string, tokenizer: ScorerTokenizer, stepEnds: ReadonlySet<number>): Steps | undefined {
  const ids = tokenizer.encode(text);
  const positions = [...ids.keys()].filter((index) => stepEnds.has(ids[index]!));
  const segments = segmentsOf(ids, positions, tokenizer);
  return joinsTo(text, segments, tokenizer) ? { segments, positions, tokenCount: ids.length } : undefined;
}

/** The text of the tokens, cut after each of the positions, with the tail where there is one. */
export function segmentsOf(ids: readonly number[], positions: readonly number[], tokenizer: ScorerTokenizer): string[] {
  const starts = [0, ...positions.map((position) => position + 1)];
  return starts
    .map((start, i) => ids.slice(start, starts[i + 1]))
    .filter((segment) => segment.length > 0)
    .map((segment) => tokenizer.decode(segment));
}

/** Whether the segments are the text, or its NFC where the tokenizer normalises. */
export function joinsTo(text: string, segments: readonly string[], { normalises }: ScorerTokenizer): boolean {
  const joined = segments.join('');
  return joined === text || (normalises === 'NFC' && joined === text.normalize('NFC'));
}
