import { grade, gradeOriginal } from '@scorer/core/grading';

/** `ours`, or the rules of the original's `math_equal`, tolerance and factor of 100 included. */
export type Grader = (typeof GRADERS)[number];

export const GRADERS = ['ours', 'original'] as const;

/** Whether an answer equals the ground truth, and the rule that says so; the original's rules are not symmetric. */
export type Grading = (answer: string, groundTruth: string) => { equal: boolean; rule: string };

export const GRADING: Readonly<Record<Grader, Grading>> = { ours: grade, original: gradeOriginal };
