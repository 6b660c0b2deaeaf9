import type { TraceDetail } from './viewer/data.js';

/** What a shard says of a trace's text and of its steps. */
export interface TraceSource {
  readonly fullForwardText: string;
  readonly originalResponse: string;
  /** [steps] token index of each step end, those in the prompt too. */
  readonly stepPositions: ArrayLike<number>;
}

/**
 * Where steps may end in a text. A step ends with the token that holds a blank line, and tokens are not at hand: most
 * tokenizers make one token of a run of line breaks, some one of each two.
 */
const BLANK_LINES = [/\n{2,}/g, /\n\n/g];

/**
 * The model's own text in pieces, each with the number of its score. The text is cut after its blank lines; where that
 * gives another number of steps than the shard has, it stays whole.
 * @param scoredPositions [T] token index of each step that has a score
 */
export function traceDetail(
  { fullForwardText: text, originalResponse, stepPositions }: TraceSource,
  scoredPositions: readonly number[],
  scores: readonly number[],
): TraceDetail {
  const { response, start } = findResponse(text, originalResponse);
  const ends = BLANK_LINES.map((blankLine) => endsOf(text, blankLine)).find(
    ({ length }) => length === stepPositions.length,
  );
  const scoreNumber = new Map(scoredPositions.map((position, number) => [position, number]));
  const pieces: [string, number | null][] = [];
  let from = 0;
  for (const [step, end] of (ends ?? []).entries()) {
    const number = scoreNumber.get(stepPositions[step]!) ?? null;
    // Of the prompt only those steps are shown that have a score.
    if (end > start) pieces.push([text.slice(Math.max(from, start), end), number]);
    else if (number !== null) pieces.push([text.slice(from, end), number]);
    from = end;
  }
  // What follows the last step: the end of the reasoning, and of the response all that comes after it.
  const rest = text.slice(Math.max(from, start)) + response.slice(text.length - start);
  if (rest.trim() !== '') pieces.push([rest, null]);
  return { scores, pieces };
}

function endsOf(text: string, blankLine: RegExp): number[] {
  return Array.from(text.matchAll(blankLine), ({ index, 0: { length } }) => index + length);
}

/**
 * Where the response begins in prompt + reasoning: the first place from which the text is the response's own beginning.
 * A tokenizer that normalises has left its mark on the text and not on the response. Where no such place is found, all
 * of the text counts and nothing follows it.
 */
function findResponse(text: string, original: string): { response: string; start: number } {
  const forms = [original, original.normalize('NFC')];
  for (const response of forms) {
    const head = response.slice(0, HEAD_CHARACTERS);
    for (let start = text.indexOf(head); start !== -1; start = text.indexOf(head, start + 1)) {
      if (response.startsWith(text.slice(start))) return { response, start };
    }
  }
  // Reasoning shorter than the head.
  for (const response of forms) {
    for (let start = Math.max(text.length - HEAD_CHARACTERS, 0); start < text.length; start++) {
      if (response.startsWith(text.slice(start))) return { response, start };
    }
  }
  return { response: '', start: 0 };
}

/** Enough to occur seldom elsewhere. */
const HEAD_CHARACTERS = 32;
