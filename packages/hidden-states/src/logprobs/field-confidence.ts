import { ScorerError } from '@scorer/core/errors';
import type { TokenConfidence } from '@scorer/core/shards';
import type { ScorerTokenizer } from '@scorer/core/tokenizer';
import type { TraceTokens } from '../run/shard/trace-tokens.js';
import { type EngineLogprobs, logprobAt } from './engine-logprobs.js';

/** What a tokenizer or an engine prints for bytes that are no whole character. */
const REPLACEMENT_CHARACTER = '\ufffd';

/**
 * The confidence of the tokens after the prompt, as an engine has it that generated them: the first of its tokens is the
 * first after the prompt, and those after the last of the trace, which is cut where its reasoning ends, are left out.
 * @throws ScorerError `LOGPROBS_TOO_SHORT`; `LOGPROBS_DISAGREE` where they are of other tokens
 */
export function fieldConfidence(
  engine: EngineLogprobs,
  { inputIds, promptLength }: TraceTokens,
  tokenizer: ScorerTokenizer,
): TokenConfidence {
  // Nothing predicts a trace's first token, so it has no place even where there is no prompt.
  const first = Math.max(1, promptLength);
  const end = Math.max(inputIds.length, first);
  const missing = end - promptLength - engine.tokens.length;
  if (missing > 0 && end > first) {
    throw new ScorerError({
      code: 'LOGPROBS_TOO_SHORT',
      what: `logprobs of ${engine.tokens.length} tokens, ${end - promptLength} follow the prompt`,
      hint: 'they must begin with the first generated token and reach to the end of the reasoning',
    });
  }
  const logprobs = new Float32Array(end - first);
  for (let token = first; token < end; token++) {
    const place = token - promptLength;
    const id = inputIds[token]!;
    const logprob = engine.alternatives ? logprobAt(engine.alternatives, place, id) : engine.logprobs[place];
    if (logprob === undefined || !isToken(engine.tokens[place], id, tokenizer)) {
      throw disagreement(place, engine, tokenizer.decode([id]));
    }
    logprobs[token - first] = Math.min(0, logprob);
  }
  return { logprobs, confidences: engine.confidences.slice(first - promptLength, end - promptLength) };
}

/** By its text as far as that tells: of some tokenizers a token alone has no leading space. */
function isToken(given: number | string | undefined, id: number, tokenizer: ScorerTokenizer): boolean {
  if (given === undefined || given === id) return true;
  if (typeof given === 'number') return false;
  const text = tokenizer.decode([id]);
  const isPartial = given.includes(REPLACEMENT_CHARACTER) || text.includes(REPLACEMENT_CHARACTER);
  return isPartial || given.trimStart() === text.trimStart();
}

function disagreement(place: number, { tokens, alternatives }: EngineLogprobs, text: string): ScorerError {
  const given = alternatives ? 'others' : JSON.stringify(tokens[place]);
  return new ScorerError({
    code: 'LOGPROBS_DISAGREE',
    what: `token ${place} after the prompt is ${JSON.stringify(text)}, its logprobs are of ${given}`,
    hint: 'the response must be as it was generated, from its first token on and with this tokenizer; or use --confidence model',
  });
}
