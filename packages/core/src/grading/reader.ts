import type { Answer } from './answer.js';
import type { Budget } from './budget.js';
import type { Expression } from './expression.js';
import type { Token } from './lex.js';
import type { Value } from './value.js';

/** What the readers of the single kinds of answer need of each other. */
export interface Reader {
  readonly budget: Budget;
  /** Reads the answer inside: brackets within brackets are followed to a limit. */
  readonly readWhole: (tokens: readonly Token[]) => Answer;
  readonly readItem: (tokens: readonly Token[]) => Answer;
  /** A letter inside brackets may be a choice. */
  readonly readElement: (tokens: readonly Token[]) => Answer;
  readonly parse: (tokens: readonly Token[]) => Expression | undefined;
  readonly parseValue: (tokens: readonly Token[]) => Value | undefined;
}
