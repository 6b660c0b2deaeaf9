import { TextDecoder } from 'node:util';
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
  /** Ids whose own decode contains the text; made once for each text. */
  tokensWith(text: string): ReadonlySet<number>;
  /** Whether texts are brought to Unicode's composed form first, so that `decode(encode(text))` is the text's NFC. */
  readonly normalises: 'NFC' | 'none';
  /** SHA-256 over the files that define it, in hex. */
  readonly fingerprint: string;
}

/**
 * Loads the tokenizer of a model.
 * @param path a Hugging Face model folder (tokenizer.json, tokenizer_config.json, chat_template.jinja), or its tokenizer.json
 * @throws ScorerError `TOKENIZER_NOT_FOUND`, `TOKENIZER_INVALID`
 */
export async function loadTokenizer(path: string): Promise<ScorerTokenizer> {
  const files = await readTokenizerFiles(path);
  const tokenizer = buildTokenizer(files);
  const decode = createDecoder(files, tokenizer);
  const renderChat = createChatRenderer(files);
  const ids = [...tokenizer.get_vocab().values()];
  const tables = new Map<string, ReadonlySet<number>>();

  return {
    encode: createEncoder(files, tokenizer),
    decode,
    renderPrompt: (messages, { templateVariables = {} } = {}) => renderChat(messages, templateVariables),
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
  if (json.decoder?.type === 'ByteLevel') return createByteLevelDecoder((id) => tokenizer.id_to_token(id));
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
