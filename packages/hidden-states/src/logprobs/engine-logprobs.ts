import { ScorerError } from '@scorer/core/errors';
import { z } from 'zod';

/** What an engine says of the tokens that it generated, of one sequence, in their order. */
export interface EngineLogprobs {
  /** For each token its id or its text; undefined in the form that has `alternatives`. */
  readonly tokens: readonly (number | string | undefined)[];
  /** Log-probability of each token; not a number in the form that has `alternatives`. */
  readonly logprobs: Float32Array;
  /** Minus the mean log-probability of the k most probable tokens at each place. */
  readonly confidences: Float32Array;
  readonly alternatives?: Alternatives;
}

/** The tokens that were likely at each place, the drawn one among them. */
interface Alternatives {
  /** [tokens + 1]: place i has elements starts[i] … starts[i + 1] of the next two. */
  readonly starts: Uint32Array;
  readonly ids: Int32Array;
  readonly logprobs: Float32Array;
}

/** How vLLM writes a token with `return_tokens_as_token_ids`. */
const TOKEN_ID = /^token_id:(\d+)$/;

/** Log-probabilities computed in a half type may come out this much above 0. */
const ROUNDING = 1e-2;

const logprob = z.number().max(ROUNDING);

// The alternatives are checked where they are read: there are twenty times as many of them as tokens.
/** `choices[].logprobs.content[]` of OpenAI's chat completions (vLLM, SGLang). */
const chatTokens = z.array(
  z.object({
    token: z.string().optional(),
    token_id: z.int().nonnegative().optional(),
    logprob,
    top_logprobs: z.array(z.unknown()),
  }),
);

/** `choices[].logprobs` of OpenAI's completions (vLLM, SGLang). */
const completion = z.object({
  tokens: z.array(z.string()),
  token_logprobs: z.array(logprob),
  top_logprobs: z.array(z.custom<Record<string, unknown>>(isObject, 'is no object')),
});

/** `CompletionOutput.logprobs` of vLLM's Python class, as JSON: of each place a dictionary by token id. */
const vllmPlaces = z.array(z.custom<Record<string, unknown>>(isObject, 'is no object'));

/** Of users who keep no alternatives, which are long: the means alone. */
const means = z.object({
  top_k: z.int().positive(),
  token_ids: z.array(z.int().nonnegative()),
  token_logprobs: z.array(logprob),
  token_confidences: z.array(z.number().min(-ROUNDING)),
});

/**
 * Reads the `logprobs` of a record, in any of the forms above. Of the alternatives the means are kept, since a trace of
 * 27,000 tokens has half a million of them.
 * @throws ScorerError `LOGPROBS_MISSING`, `LOGPROBS_INVALID`; `LOGPROBS_TOO_FEW` where a token has fewer than `topK`
 * alternatives
 */
export function readEngineLogprobs(field: unknown, topK: number): EngineLogprobs {
  if (field === undefined || field === null) {
    throw refused('MISSING', 'the record has no logprobs', 'keep them: scorer-preprocess --keep logprobs');
  }
  if (isObject(field) && 'token_confidences' in field) return fromMeans(check(means, field), topK);
  if (isObject(field) && 'token_logprobs' in field) return fromCompletion(check(completion, field), topK);
  const places = isObject(field) && 'content' in field ? field.content : field;
  const isChat = Array.isArray(places) && isObject(places[0]) && 'top_logprobs' in places[0];
  return isChat ? fromChat(check(chatTokens, places), topK) : fromVllm(check(vllmPlaces, places), topK);
}

function fromChat(places: z.output<typeof chatTokens>, topK: number): EngineLogprobs {
  return {
    tokens: places.map(({ token, token_id }) => token_id ?? named(token ?? '')),
    logprobs: Float32Array.from(places, ({ logprob }) => atMostZero(logprob)),
    confidences: confidences(places, ({ top_logprobs }) => top_logprobs, topK),
  };
}

function fromCompletion(
  { tokens, token_logprobs, top_logprobs }: z.output<typeof completion>,
  topK: number,
): EngineLogprobs {
  requireEqualLengths({ tokens, token_logprobs, top_logprobs });
  return {
    tokens: tokens.map(named),
    logprobs: Float32Array.from(token_logprobs, atMostZero),
    confidences: confidences(top_logprobs, Object.values, topK),
  };
}

function fromVllm(places: z.output<typeof vllmPlaces>, topK: number): EngineLogprobs {
  return {
    tokens: places.map(() => undefined),
    logprobs: new Float32Array(places.length).fill(Number.NaN),
    confidences: confidences(places, Object.values, topK),
    alternatives: alternativesAt(places),
  };
}

function alternativesAt(places: z.output<typeof vllmPlaces>): Alternatives {
  const starts = new Uint32Array(places.length + 1);
  for (const [i, place] of places.entries()) starts[i + 1] = starts[i]! + Object.keys(place).length;
  const ids = new Int32Array(starts.at(-1)!);
  const logprobs = new Float32Array(ids.length);
  for (const [i, place] of places.entries()) {
    let at = starts[i]!;
    for (const [key, alternative] of Object.entries(place)) {
      ids[at] = idOf(key);
      logprobs[at++] = logprobOf(alternative);
    }
  }
  return { starts, ids, logprobs };
}

/** Log-probability of a token at a place; undefined where it is none of the alternatives. */
export function logprobAt({ starts, ids, logprobs }: Alternatives, place: number, id: number): number | undefined {
  const at = ids.subarray(starts[place], starts[place + 1]).indexOf(id);
  return at === -1 ? undefined : logprobs[starts[place]! + at];
}

function fromMeans(
  { top_k, token_ids, token_logprobs, token_confidences }: z.output<typeof means>,
  topK: number,
): EngineLogprobs {
  requireEqualLengths({ token_ids, token_logprobs, token_confidences });
  if (top_k !== topK) throw tooFew(`the means are over ${top_k} tokens, not ${topK}`, top_k);
  return {
    tokens: token_ids,
    logprobs: Float32Array.from(token_logprobs, atMostZero),
    confidences: Float32Array.from(token_confidences, (mean) => Math.max(0, mean)),
  };
}

/** A token that is written as its id, or its text. */
function named(token: string): number | string {
  const id = TOKEN_ID.exec(token)?.[1];
  return id === undefined ? token : Number(id);
}

/** Engines give the drawn token beside the k most probable ones where it is not among them, so the best k are taken. */
function confidences<Place>(
  places: readonly Place[],
  alternatives: (place: Place) => unknown[],
  topK: number,
): Float32Array {
  return Float32Array.from(places, (place, i) => {
    const best = alternatives(place)
      .map(logprobOf)
      .sort((a, b) => b - a);
    if (best.length < topK) throw tooFew(`token ${i} has ${best.length} alternatives, not ${topK}`, best.length);
    let sum = 0;
    for (let k = 0; k < topK; k++) sum += best[k]!;
    return Math.max(0, -sum / topK);
  });
}

/** Of an alternative, which is a number or has one. */
function logprobOf(alternative: unknown): number {
  const value = isObject(alternative) ? alternative.logprob : alternative;
  if (typeof value === 'number' && value <= ROUNDING) return value;
  throw invalid(`${JSON.stringify(alternative)} is no alternative with a logprob`);
}

function idOf(key: string): number {
  if (/^\d+$/.test(key)) return Number(key);
  throw invalid(`${JSON.stringify(key)} is no token id`);
}

function atMostZero(logprob: number): number {
  return Math.min(0, logprob);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function check<Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const { path, message } = parsed.error.issues[0]!;
  throw invalid([path.join('.'), message].filter(Boolean).join(': '));
}

function requireEqualLengths(arrays: Readonly<Record<string, readonly unknown[]>>): void {
  const lengths = Object.entries(arrays).map(([name, { length }]) => ({ name, length }));
  if (lengths.every(({ length }) => length === lengths[0]!.length)) return;
  throw invalid(lengths.map(({ name, length }) => `${length} ${name}`).join(', '));
}

function invalid(what: string): ScorerError {
  const hint = 'give logprobs of OpenAI\'s API or of vLLM: docs/hidden-states.md, "From an engine"';
  return refused('INVALID', `logprobs are in no known form: ${what}`, hint);
}

function tooFew(what: string, count: number): ScorerError {
  return refused('TOO_FEW', what, `ask the engine for more top_logprobs, or add --confidence-top-k ${count}`);
}

function refused(reason: string, what: string, hint: string): ScorerError {
  return new ScorerError({ code: `LOGPROBS_${reason}`, what, hint });
}
