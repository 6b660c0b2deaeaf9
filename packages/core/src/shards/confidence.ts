/** How sure the model was of a trace's last tokens, all those after its prompt. */
export interface TokenConfidence {
  /** [tokens]: natural log-probability that the model gave each token, at most 0. */
  logprobs: Float32Array;
  /**
   * [tokens]: minus the mean log-probability of the k most probable tokens at each place, at least 0: the token
   * confidence of DeepConf (arXiv 2508.15260, equation 2).
   */
  confidences: Float32Array;
}

/** The tensors of `TokenConfidence`, one element a token. */
export const CONFIDENCE_TENSORS = ['token_logprobs', 'token_confidences'] as const;

/** What is wrong with a trace's values, undefined where they are finite and of the right sign. */
export function invalidConfidence({ logprobs, confidences }: TokenConfidence): string | undefined {
  const logprob = logprobs.findIndex((value) => !(value <= 0 && value > -Infinity));
  if (logprob !== -1) return `token_logprobs has ${logprobs[logprob]} at its token ${logprob}`;
  const confidence = confidences.findIndex((value) => !(value >= 0 && value < Infinity));
  if (confidence !== -1) return `token_confidences has ${confidences[confidence]} at its token ${confidence}`;
  return undefined;
}
