import { z } from 'zod';
import { rejectOf } from '../trace-line.js';
import type { RowOutcome } from './labelled-steps.js';
import { statedAnswer } from './stated-answer.js';

const row = z.object({ input: z.string(), label: z.string() });

/** Ends each step of `input`; in `label` a + or - stands in its place. */
const STEP_TAG = 'ки';

const FIRST_STEP = /step 1\s*:/i;

/**
 * A row of Math-Shepherd (arXiv 2312.08935, peiyi9979/Math-Shepherd): question and steps in one text, labels by which
 * steps led to the right answer. The last step holds the answer, so that its label says whether that is right.
 */
export function readMathShepherd(value: Record<string, unknown>): RowOutcome {
  const parsed = row.safeParse(value);
  if (!parsed.success) return { reject: rejectOf(parsed.error, value) };
  const { input, label } = parsed.data;

  const pieces = input.split(STEP_TAG);
  const labels = marksOf(label, pieces);
  if (!labels) return disagreeing('input and label are not the same text with a + or - at each step tag');
  const rest = pieces.pop()!.trim();
  if (rest !== '') return disagreeing(`${JSON.stringify(rest.slice(0, 40))} stands after the last step tag`);
  const [first, ...others] = pieces;
  const start = first === undefined ? -1 : startOfSteps(first, input);
  if (first === undefined || start === -1) return disagreeing('the first step tag does not end a first step');

  const steps = [first.slice(start), ...others].map((text, i) => ({ text: text.trim(), label: labels[i]! }));
  const { text, label: last } = steps.at(-1)!;
  return {
    solutions: [
      {
        question: first.slice(0, start).trim(),
        steps,
        ground_truth: '',
        extracted_answer: statedAnswer(text) ?? '',
        is_correct: last === 1,
      },
    ],
  };
}

/** The labels, one behind each piece but the last; undefined where the texts are not the same. */
function marksOf(label: string, pieces: readonly string[]): number[] | undefined {
  const labels: number[] = [];
  let at = 0;
  for (const [i, piece] of pieces.entries()) {
    if (!label.startsWith(piece, at)) return undefined;
    at += piece.length;
    if (i === pieces.length - 1) break;
    const mark = label[at++];
    if (mark !== '+' && mark !== '-') return undefined;
    labels.push(Number(mark === '+'));
  }
  return at === label.length ? labels : undefined;
}

/** Where the first step begins in the first piece: at `Step 1:`, or behind the question mark where no step is numbered. */
function startOfSteps(first: string, input: string): number {
  if (FIRST_STEP.test(input)) return first.search(FIRST_STEP);
  const question = first.lastIndexOf('?') + 1;
  return question > 0 && first.slice(question).trim() !== '' ? question : -1;
}

function disagreeing(reason: string): RowOutcome {
  return { reject: { code: 'LABELS_DISAGREE', reason } };
}
