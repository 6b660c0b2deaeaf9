import { lastBoxedAnswer } from '../boxed-answer.js';

/** How solutions of PRM800K (`# Answer`) and of Math-Shepherd (`The answer is:`) end. */
const ENDINGS = [/# Answer\s+(.+)$/s, /the answer is:?\s*(.+)$/is];

/** The answer that a solution's last step states: the last `\boxed{…}`, or what an ending of the data sets gives. */
export function statedAnswer(lastStep: string): string | undefined {
  const boxed = lastBoxedAnswer(lastStep);
  if (boxed !== undefined) return boxed;
  const ending = ENDINGS.map((pattern) => pattern.exec(lastStep.trim())?.[1]).find((answer) => answer !== undefined);
  return ending?.trim().replace(/\.$/, '');
}
