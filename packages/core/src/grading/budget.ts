/**
 * Steps that one comparison may take. A step is 0.3 to 0.8 µs of work (one node of an expression at one point, a few
 * products of machine words), so a comparison ends within 15 ms once warm. The hardest pair of real answers takes 2,100.
 */
export const MAX_STEPS = 15_000;

export interface Budget {
  used: number;
  readonly limit: number;
}

/** Ends a comparison that asks for more work than its budget; `grade` turns it into the rule `too-hard`. */
export class StepLimitReached extends Error {}

export function createBudget(limit: number = MAX_STEPS): Budget {
  return { used: 0, limit };
}

export function spend(budget: Budget, steps: number): void {
  if (budget.used + steps > budget.limit) throw new StepLimitReached();
  budget.used += steps;
}
