import { z } from 'zod';
import { rejectOf } from '../trace-line.js';
import { allRight, type LabelledStep, type LabelledSteps, type RowOutcome } from './labelled-steps.js';
import { statedAnswer } from './stated-answer.js';

/** What a neutral rating (0: right, but no progress) becomes. */
export const NEUTRALS = ['right', 'wrong', 'none'] as const;
export type Neutral = (typeof NEUTRALS)[number];

export interface Prm800kOptions {
  neutral: Neutral;
  /** Whether completions that were rated beside the chosen one become solutions of their own. */
  alternatives: boolean;
}

const completion = z.object({ text: z.string(), rating: z.literal([-1, 0, 1]).nullish() });
const row = z.object({
  question: z.object({
    problem: z.string(),
    ground_truth_answer: z.union([z.string(), z.number().transform(String)]).nullish(),
  }),
  label: z.object({
    steps: z.array(
      z.object({
        completions: z.array(completion).nullish(),
        human_completion: z
          .union([z.string().transform((text) => ({ text })), z.object({ text: z.string() })])
          .nullish(),
        chosen_completion: z.number().int().nonnegative().nullish(),
      }),
    ),
  }),
});

const NEUTRAL_LABELS: Record<Neutral, number | null> = { right: 1, wrong: 0, none: null };

/**
 * A row of PRM800K (arXiv 2305.20050, github.com/openai/prm800k, phase 1 and 2): the solution that the labeller followed,
 * and for each completion that was rated beside the chosen one the same beginning with that completion as its end. The
 * steps of such a beginning have no label: each rating is there once.
 *
 * Where nothing was chosen the labelling ended; the first completion, that of the solution as it was made, is then the
 * last step.
 */
export function readPrm800k(value: Record<string, unknown>, { neutral, alternatives }: Prm800kOptions): RowOutcome {
  const parsed = row.safeParse(value);
  if (!parsed.success) return { reject: rejectOf(parsed.error, value) };
  const { question, label } = parsed.data;

  // Some entries say nothing at all.
  const entries = label.steps.filter(({ completions, human_completion }) => completions?.length || human_completion);
  const followed: LabelledStep[] = [];
  const others: LabelledStep[][] = [];
  for (const [index, { completions, human_completion: human, chosen_completion: chosen }] of entries.entries()) {
    const rated = (completions ?? []).map(({ text, rating }) => ({ text, label: labelOf(rating, neutral) }));
    const step = chosen != null ? rated[chosen] : human ? { text: human.text, label: 1 } : rated[0];
    if (!step) return invalid(`step ${index}: completion ${chosen} was chosen of ${rated.length}`);
    if (chosen == null && !human && index < entries.length - 1) {
      return invalid(`step ${index}: nothing was chosen, and steps follow`);
    }
    const beginning = followed.map(({ text }) => ({ text, label: null }));
    for (const other of rated) {
      if (other !== step && other.label !== null) others.push([...beginning, other]);
    }
    followed.push(step);
  }

  const ground_truth = question.ground_truth_answer ?? '';
  const solutions = [followed, ...(alternatives ? others : [])].map((steps): LabelledSteps => {
    const answer = statedAnswer(steps.at(-1)?.text ?? '');
    const isGraded = answer !== undefined && ground_truth !== '';
    return {
      question: question.problem,
      steps,
      ground_truth,
      extracted_answer: answer ?? '',
      is_correct: isGraded ? undefined : allRight(steps),
    };
  });
  return { solutions };
}

function labelOf(rating: -1 | 0 | 1 | null | undefined, neutral: Neutral): number | null {
  if (rating == null) return null;
  return rating === 0 ? NEUTRAL_LABELS[neutral] : Number(rating > 0);
}

function invalid(reason: string): RowOutcome {
  return { reject: { code: 'INVALID_FIELD', reason } };
}
