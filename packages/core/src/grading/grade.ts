import { createBudget, StepLimitReached } from './budget.js';
import { type CompareRule, compareAnswers } from './compare.js';
import { readAnswer, tokensOf } from './structure.js';
import { written } from './tokens.js';

/** The rule that decided a grade: those of `CompareRule`, and those that end the matter before it. */
export type Rule =
  | CompareRule
  /** The two strings are the same. */
  | 'identical'
  /** One of them is empty. */
  | 'empty'
  /** The same but for spacing, fonts, sizes and other typesetting. */
  | 'typesetting'
  /** Too long to be read as mathematics; not the same text. */
  | 'too-long'
  /** The comparison would take more steps than it may; equality was not shown. */
  | 'too-hard';

export interface Grade {
  readonly equal: boolean;
  readonly rule: Rule;
}

/** Longer answers are compared as text. The longest answers in the data have 300 characters. */
export const MAX_LENGTH = 3_000;

/**
 * Whether two answers in LaTeX or plain text mean the same: numbers, expressions, equations, intervals, sets, tuples,
 * lists, matrices, quantities with units, multiple choice, words.
 *
 * Symmetric, and true for identical strings. Never throws, and takes a bounded number of steps for any input.
 */
export function grade(a: string, b: string): Grade {
  return gradeWithin(a, b, {}).grade;
}

/** As `grade`, telling the steps taken. */
export function gradeWithin(
  a: string,
  b: string,
  { maxSteps }: { maxSteps?: number },
): { grade: Grade; steps: number } {
  const budget = createBudget(maxSteps);
  const decide = (equal: boolean, rule: Rule) => ({ grade: { equal, rule }, steps: budget.used });
  if (a === b) return decide(true, 'identical');
  if (a.length > MAX_LENGTH || b.length > MAX_LENGTH) return decide(a.trim() === b.trim(), 'too-long');
  if (a.trim() === '' || b.trim() === '') return decide(false, 'empty');
  try {
    // In a fixed order, so that a budget ends at the same place whichever of the two is named first.
    const [tokensA, tokensB] = (a < b ? [a, b] : [b, a]).map(tokensOf);
    if (!tokensA || !tokensB) return decide(false, 'too-long');
    if (tokensA.length === 0 || tokensB.length === 0) return decide(false, 'empty');
    if (written(tokensA) === written(tokensB)) return decide(true, 'typesetting');
    const [answerA, answerB] = [readAnswer(tokensA, budget), readAnswer(tokensB, budget)];
    const { equal, rule } = compareAnswers(answerA, answerB, budget);
    return decide(equal, rule);
  } catch (error) {
    if (error instanceof StepLimitReached) return decide(false, 'too-hard');
    throw error;
  }
}
