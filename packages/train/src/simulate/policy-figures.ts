import { type BootstrapOptions, bootstrap, type Figure, meanOf, ratioOf } from '../evaluate/bootstrap.js';
import type { Outcome, OutcomeOf } from './outcome.js';
import type { Policy } from './policy.js';

export type Vote = 'majority' | 'weighted';

/** What a policy costs and saves, over a set of questions. */
export interface PolicyFigures {
  readonly policy: Policy;
  /** Share of the questions whose vote is right. */
  readonly majority: Figure;
  readonly weighted: Figure;
  /** What the vote that decides loses beside that with nothing stopped, paired by question; below 0 it gains. */
  readonly loss: Figure;
  /** Tokens that a question's traces generate together. */
  readonly tokens: Figure;
  readonly seconds: Figure;
  /** Share of those with nothing stopped that is not spent. */
  readonly tokensSaved: Figure;
  readonly secondsSaved: Figure;
}

/**
 * The figures of policies over the same questions and the same resamples of them.
 * @param policies the first is what the others are compared with
 */
export async function policyFigures(
  policies: readonly Policy[],
  { questions, outcomeOf, vote }: { questions: Uint32Array; outcomeOf: OutcomeOf; vote: Vote },
  options: BootstrapOptions,
): Promise<PolicyFigures[]> {
  const measured = policies.map((policy) => measure(policy, questions, outcomeOf));
  const reference = measured[0]!;
  const plan = measured.map((own) => ({
    majority: meanOf(own.majority),
    weighted: meanOf(own.weighted),
    loss: meanOf(difference(reference[vote], own[vote])),
    tokens: meanOf(own.tokens),
    seconds: meanOf(own.seconds),
    tokensSaved: ratioOf(difference(reference.tokens, own.tokens), reference.tokens),
    secondsSaved: ratioOf(difference(reference.seconds, own.seconds), reference.seconds),
  }));
  const figures = await bootstrap(questions.length, plan, options);
  return figures.map((row, i) => ({ policy: policies[i]!, ...row }));
}

/** [questions] of each measure. */
type Measures = Record<keyof Outcome, Float64Array>;

function measure(policy: Policy, questions: Uint32Array, outcomeOf: OutcomeOf): Measures {
  const outcomes = Array.from(questions, (question) => outcomeOf(policy, question));
  return {
    majority: Float64Array.from(outcomes, ({ majority }) => majority),
    weighted: Float64Array.from(outcomes, ({ weighted }) => weighted),
    tokens: Float64Array.from(outcomes, ({ tokens }) => tokens),
    seconds: Float64Array.from(outcomes, ({ seconds }) => seconds),
  };
}

function difference(a: Float64Array, b: Float64Array): Float64Array {
  return a.map((value, i) => value - b[i]!);
}
