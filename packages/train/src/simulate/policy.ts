import { count } from '../figure-text.js';

/**
 * A rule that stops traces while they are generated. All traces of a question start together and grow by one token a
 * tick; scores are known at step ends. A trace is ranked by its running mean, the mean of its step scores so far: the
 * score of STEP (arXiv 2601.09093). A trace that has ended no step yet ranks above all others, since nothing speaks
 * against it; of equals the later in the file goes first.
 */
export type Policy =
  /** Stops a trace at the first step, from step `warmup` on (1 = its first), where its running mean is under `below`. */
  | { readonly kind: 'threshold'; readonly below: number; readonly warmup: number }
  /** Stops a trace when `steps` steps in a row have scored under `below`, each by itself. */
  | { readonly kind: 'patience'; readonly below: number; readonly steps: number }
  /** When the traces have `tokens` tokens each, at most the best `keep` of those that run go on. Ascending. */
  | { readonly kind: 'keep-top'; readonly checkpoints: readonly { readonly tokens: number; readonly keep: number }[] }
  /** Memory holds so many tokens of running traces at once; where the next tick would pass that, the worst one is stopped. */
  | { readonly kind: 'memory'; readonly tokens: number }
  /** Once the question's traces together have spent so many tokens, the best of those that run goes on alone. */
  | { readonly kind: 'budget'; readonly tokens: number }
  /**
   * DeepConf on line (arXiv 2508.15260, section 3.3). The question's first `warmup` traces run to their ends; the best
   * `top` of them by their lowest group of token confidences set a bar. Then the others run, and one stops at the first
   * step in which a group falls under the bar. A trace with a group under it has no vote, not even of the first.
   */
  | { readonly kind: 'confidence'; readonly warmup: number; readonly top: number }
  /** Starts so many of the traces, drawn at random, and stops none: what sampling less would do, without any scorer. */
  | { readonly kind: 'fewer'; readonly traces: number }
  | { readonly kind: 'none' };

export type PolicyKind = Policy['kind'];

/** Those that the scores decide, or token confidences, in the order in which they are shown. */
export const STOPPING_KINDS = ['threshold', 'patience', 'keep-top', 'memory', 'budget', 'confidence'] as const;
export type StoppingKind = (typeof STOPPING_KINDS)[number];

/** The rule in a few words, with its numbers. */
export function describePolicy(policy: Policy): string {
  switch (policy.kind) {
    case 'threshold':
      return `running mean < ${decimal(policy.below)} from step ${policy.warmup} on`;
    case 'patience':
      return `${policy.steps} steps in a row < ${decimal(policy.below)}`;
    case 'keep-top':
      return `keep ${policy.checkpoints.map(({ keep, tokens }) => `${count(keep)} at ${count(tokens)}`).join(', ')} tokens`;
    case 'memory':
      return `at most ${count(policy.tokens)} tokens in memory`;
    case 'budget':
      return `one goes on after ${count(policy.tokens)} tokens`;
    case 'confidence':
      return `confident as the best ${Number((100 * policy.top).toFixed(1))} % of the first ${count(policy.warmup)}`;
    case 'fewer':
      return policy.traces === 1 ? 'sample 1 trace' : `sample ${count(policy.traces)} traces`;
    case 'none':
      return 'nothing stopped';
  }
}

function decimal(value: number): string {
  return value.toPrecision(3);
}
