import { grade } from '@scorer/core/grading';

/** Two integers written plainly are equal or not by their value, which is a hundred times faster than grading. */
const PLAIN_INTEGER = /^-?\d{1,15}$/;

/**
 * Groups the answers to one question that are mathematically equal: 1/2, 0.5 and \frac{1}{2} are one answer. Spellings
 * are taken by frequency, then as text; each joins the first group whose first spelling it equals. So the groups do
 * not depend on the order of the answers, even where equality is not transitive.
 * @param counts how often each spelling occurs
 * @returns the spellings of each group, the most frequent first
 */
export function groupAnswers(counts: ReadonlyMap<string, number>): string[][] {
  const spellings = [...counts].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1)).map(([spelling]) => spelling);
  const groups: string[][] = [];
  for (const spelling of spellings) {
    const group = groups.find(([first]) => areEqual(first!, spelling));
    if (group) group.push(spelling);
    else groups.push([spelling]);
  }
  return groups;
}

function areEqual(a: string, b: string): boolean {
  if (PLAIN_INTEGER.test(a) && PLAIN_INTEGER.test(b)) return Number(a) === Number(b);
  return grade(a, b).equal;
}
