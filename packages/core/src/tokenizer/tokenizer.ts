import { TextDecoder } from 'node:util';
import { resolveModelFolder } from '../hub/index.js';
import { createByteLevelDecoder } from './byte-level.js';
import { type ChatMessage, createChatRenderer } from './chat-template.js';
import { createEncoder } from './encoder.js';
import { buildTokenizer, type LibraryTokenizer } from './library.js';
import { readTokenizerFiles, type TokenizerFiles } from './tokenizer-files.js';

/** A model's tokenizer, equal to Hugging Face's fast tokenizer of the same files. */
export interface ScorerTokenizer {
  /** Token ids of a text; special tokens written out in the text are found, none is added. */
  encode(text: string): number[];
  /** Text of a run of tokens, special ones included and no space cleaned up; a broken character becomes U+FFFD. */
  decode(ids: readonly number[]): string;
  /**
   * The prompt that the chat template makes of the messages, generation prompt included.
   * @throws ScorerError `CHAT_TEMPLATE_MISSING`, `CHAT_TEMPLATE_FAILED`
   */
  renderPrompt(
    messages: readonly ChatMessage[],
    options?: { templateVariables?: Readonly<Record<string, unknown>> },
  ): string;
  /** Whether the chat template reads the clock: its prompts may then differ from day to day. */
  readonly datesPrompts: boolean;
  /** Ids whose own decode contains the text; made once for each text. */
  tokensWith(text: string): ReadonlySet<number>;
  /** Whether texts are brought to Unicode's composed form first, so that `decode(encode(text))` is the text's NFC. */
  readonly normalises: 'NFC' | 'none';
  /** SHA-256 over the files that define it, in hex. */
  readonly fingerprint: string;
}

/** What a tokenizer consists of; pass it to `resolveModelFolder` for a model of the hub. */
export const TOKENIZER_FILES = {
  required: ['tokenizer.json'],
  optional: ['tokenizer_config.json', 'chat_template.jinja', 'chat_template.json'],
} as const;

/**
 * Loads the tokenizer of a model.
 * @param path a Hugging Face model folder (see `TOKENIZER_FILES`), its tokenizer.json, or the id of a hub model
 * @param options `revision` of a hub model: branch, tag or commit
 * @throws ScorerError `TOKENIZER_NOT_FOUND`, `TOKENIZER_INVALID`, and for hub models those of `resolveModelFolder`
 */
export async function loadTokenizer(
  path: string,
  { revision, signal }: { revision?: string | undefined; signal?: AbortSignal | undefined } = {},
): Promise<ScorerTokenizer> {
  const folder = await resolveModelFolder(path, { files: TOKENIZER_FILES, revision, signal });
  const files = await readTokenizerFiles(folder);
  const tokenizer = buildTokenizer(files);
  const decode = createDecoder(files, tokenizer);
  const renderChat = createChatRenderer(files);
  const ids = [...tokenizer.get_vocab().values()];
  const tables = new Map<string, ReadonlySet<number>>();

  return {
    encode: createEncoder(files, tokenizer),
    decode,
    renderPrompt: (messages, { templateVariables = {} } = {}) => renderChat(messages, templateVariables),
    datesPrompts: files.chatTemplate?.includes('strftime_now') ?? false,
    tokensWith: (text) => {
      const table = tables.get(text) ?? new Set(ids.filter((id) => decode([id]).includes(text)));
      tables.set(text, table);
      return table;
    },
    normalises: composes(files.json.normalizer) ? 'NFC' : 'none',
    fingerprint: files.fingerprint,
  };
}

function createDecoder({ json }: TokenizerFiles, tokenizer: LibraryTokenizer): ScorerTokenizer['decode'] {
  if (json.decoder?.type === 'ByteLevel') return createByteLevelDecoder(tokenizer.model.vocab);
  for (const part of tokenizer.decoder?.decoders ?? [tokenizer.decoder]) {
    // As it comes it takes U+FEFF for a byte order mark and drops it.
    if (part?.text_decoder) part.text_decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  }
  return (ids) => (ids.length === 0 ? '' : tokenizer.decode([...ids], { clean_up_tokenization_spaces: false }));
}

function composes(normalizer: TokenizerFiles['json']['normalizer']): boolean {
  if (normalizer?.type !== 'Sequence') return normalizer?.type === 'NFC';
  const parts: unknown = normalizer.normalizers;
  return Array.isArray(parts) && parts.some((part) => part?.type === 'NFC');
}
