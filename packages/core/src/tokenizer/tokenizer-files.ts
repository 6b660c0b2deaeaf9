import { createHash } from 'node:crypto';
import { basename, dirname, join } from 'node:path';
import { z } from 'zod';
import { ScorerError } from '../errors/index.js';
import { readSmallFileIfPresent } from '../files/index.js';

/** The largest tokenizer.json of a public model is 35 MB; past this it is some other file, and parsing would fill the memory. */
const MAX_TOKENIZER_BYTES = 256 * 2 ** 20;

/** Templates are a few kilobytes; the config repeats one, and names at most a few thousand added tokens. */
const MAX_CONFIG_BYTES = 16 * 2 ** 20;

/** Sixteen times the largest vocabulary in use (256 k): a table with one entry an id stays small. */
const MAX_TOKEN_ID = 2 ** 22;

const tokenId = z.number().int().nonnegative().max(MAX_TOKEN_ID);

const addedToken = z.looseObject({
  content: z.string().min(1),
  special: z.boolean().optional(),
  normalized: z.boolean().optional(),
  single_word: z.boolean().optional(),
  lstrip: z.boolean().optional(),
  rstrip: z.boolean().optional(),
});

/** A normalizer, pre-tokenizer, decoder or post-processor: its type here, its details where it is built. */
const component = z
  .looseObject({ type: z.string() })
  .nullish()
  .transform((value) => value ?? null);

// Hundreds of thousands of entries: one loop each, where a schema of every entry would take a second.
const vocabulary = z.custom<Record<string, number> | [string, number][]>(isVocabulary, 'not a vocabulary');
const merges = z.custom<string[] | [string, string][]>(isMergeList, 'not a list of merges');

const tokenizerJsonSchema = z.looseObject({
  model: z.looseObject({ type: z.string().optional(), vocab: vocabulary, merges: merges.optional() }),
  added_tokens: z
    .array(addedToken.extend({ id: tokenId }))
    .nullish()
    .transform((value) => value ?? []),
  normalizer: component,
  pre_tokenizer: component,
  post_processor: component,
  decoder: component,
});

/** `bos_token` and its kind: a string, or an added token of which the content counts. */
const namedToken = z
  .union([z.string(), z.looseObject({ content: z.string() }).transform(({ content }) => content)])
  .nullish();

const chatTemplate = z.union([z.string(), z.array(z.looseObject({ name: z.string(), template: z.string() }))]);

const tokenizerConfigSchema = z.looseObject({
  chat_template: chatTemplate.nullish(),
  added_tokens_decoder: z.record(z.coerce.number().pipe(tokenId), addedToken).nullish(),
  bos_token: namedToken,
  eos_token: namedToken,
  unk_token: namedToken,
  sep_token: namedToken,
  pad_token: namedToken,
  cls_token: namedToken,
  mask_token: namedToken,
});

const chatTemplateJsonSchema = z.looseObject({ chat_template: chatTemplate });

type TokenizerJson = z.output<typeof tokenizerJsonSchema>;
type TokenizerConfig = z.output<typeof tokenizerConfigSchema>;

/** A model's tokenizer as it lies on disk, checked as far as it is used. */
export interface TokenizerFiles {
  /** The folder that holds them; errors name it. */
  folder: string;
  json: TokenizerJson;
  config: TokenizerConfig;
  /** Jinja source; undefined where the model has none. */
  chatTemplate: string | undefined;
  /** SHA-256 over names and bytes of the files that were read, in hex. */
  fingerprint: string;
}

/**
 * Reads `tokenizer.json`, `tokenizer_config.json` and the chat template beside them.
 * @param path a Hugging Face model folder, or the tokenizer.json in it
 * @throws ScorerError `TOKENIZER_NOT_FOUND`, `TOKENIZER_INVALID`
 */
export async function readTokenizerFiles(path: string): Promise<TokenizerFiles> {
  const folder = basename(path) === 'tokenizer.json' ? dirname(path) : path;
  const hash = createHash('sha256');
  const read = async (name: string, maxBytes: number): Promise<string | undefined> => {
    const bytes = await readIfPresent(join(folder, name), maxBytes);
    if (bytes === undefined) return undefined;
    hash.update(`${name}\0${bytes.length}\0`).update(bytes);
    return bytes.toString('utf8');
  };

  const jsonText = await read('tokenizer.json', MAX_TOKENIZER_BYTES);
  if (jsonText === undefined) {
    throw new ScorerError({
      code: 'TOKENIZER_NOT_FOUND',
      what: 'no tokenizer.json',
      where: folder,
      hint: 'name a Hugging Face model folder with a fast tokenizer',
    });
  }
  const json = parse(tokenizerJsonSchema, jsonText, join(folder, 'tokenizer.json'));

  const configText = await read('tokenizer_config.json', MAX_CONFIG_BYTES);
  const config =
    configText === undefined ? {} : parse(tokenizerConfigSchema, configText, join(folder, 'tokenizer_config.json'));

  // The order of transformers: the .jinja file wins over the config; the .json file is that of processors.
  const jinja = await read('chat_template.jinja', MAX_CONFIG_BYTES);
  const templateJson = await read('chat_template.json', MAX_CONFIG_BYTES);
  const chatTemplate =
    jinja ??
    defaultTemplate(config.chat_template) ??
    (templateJson === undefined
      ? undefined
      : defaultTemplate(parse(chatTemplateJsonSchema, templateJson, join(folder, 'chat_template.json')).chat_template));

  return { folder, json: withTokensOf(config, json), config, chatTemplate, fingerprint: hash.digest('hex') };
}

/** Added tokens that stand in the config alone are part of the tokenizer for transformers too. */
function withTokensOf(config: TokenizerConfig, json: TokenizerJson): TokenizerJson {
  const known = new Set(json.added_tokens.map(({ content }) => content));
  const others = Object.entries(config.added_tokens_decoder ?? {})
    .filter(([, token]) => !known.has(token.content))
    .map(([id, token]) => ({ ...token, id: Number(id) }));
  return { ...json, added_tokens: [...json.added_tokens, ...others] };
}

/** A model may name several templates (`tool_use`, `rag`): the plain chat is `default`. */
function defaultTemplate(template: z.output<typeof chatTemplate> | null | undefined): string | undefined {
  if (typeof template === 'string') return template;
  return template?.find(({ name }) => name === 'default')?.template;
}

function readIfPresent(path: string, maxBytes: number): Promise<Buffer | undefined> {
  return readSmallFileIfPresent(path, maxBytes, (size) =>
    invalid(path, `${size} bytes, more than the ${maxBytes} that such a file can have`),
  );
}

function parse<Schema extends z.ZodType>(schema: Schema, text: string, path: string): z.output<Schema> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw invalid(path, 'not JSON', error);
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  throw invalid(path, `${issue.path.join('.') || 'the file'}: ${issue.message}`, parsed.error);
}

export function invalid(where: string, what: string, cause?: unknown): ScorerError {
  return new ScorerError({
    code: 'TOKENIZER_INVALID',
    what: `the tokenizer can't be used: ${what}`,
    where,
    hint: 'download the file again, or use another model',
    cause,
  });
}

function isVocabulary(value: unknown): boolean {
  if (Array.isArray(value)) {
    return value.length <= MAX_TOKEN_ID && value.every((entry) => Array.isArray(entry) && isScoredToken(entry));
  }
  return typeof value === 'object' && value !== null && Object.values(value).every(isTokenId);
}

function isScoredToken(entry: unknown[]): boolean {
  return entry.length === 2 && typeof entry[0] === 'string' && typeof entry[1] === 'number';
}

function isTokenId(value: unknown): boolean {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= MAX_TOKEN_ID;
}

function isMergeList(value: unknown): boolean {
  return Array.isArray(value) && value.every((merge) => typeof merge === 'string' || isPair(merge));
}

function isPair(merge: unknown): boolean {
  return Array.isArray(merge) && merge.length === 2 && typeof merge[0] === 'string' && typeof merge[1] === 'string';
}
