import type { Reject } from '../reject.js';

/** A solution whose steps are labelled one by one, whatever data set it comes from. */
export interface LabelledSteps {
  question: string;
  steps: readonly LabelledStep[];
  /** Empty where the data set does not give it. */
  ground_truth: string;
  /** The answer that the solution states; empty where it states none. */
  extracted_answer: string;
  /** Undefined where it follows from the two answers. */
  is_correct: boolean | undefined;
}

export interface LabelledStep {
  text: string;
  /** 0 … 1, 1 = right; null where the step has no label. */
  label: number | null;
}

/** What a row of a data set holds: one solution, or several that begin alike. */
export type RowOutcome = { solutions: readonly LabelledSteps[] } | { reject: Reject };

/** No labelled step is wrong; a soft label counts as right from 0.5 on. */
export function allRight(steps: readonly LabelledStep[]): boolean {
  return steps.every(({ label }) => label === null || label >= 0.5);
}
