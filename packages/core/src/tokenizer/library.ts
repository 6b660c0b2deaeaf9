import type { TextDecoder } from 'node:util';
import { Tokenizer } from '@huggingface/tokenizers';
import { invalid, type TokenizerFiles } from './tokenizer-files.js';

/** What is used of `@huggingface/tokenizers`: its own types (0.2.0) don't resolve under `nodenext`. */
export interface LibraryTokenizer {
  encode(text: string, options: { add_special_tokens: boolean }): { ids: number[] };
  decode(ids: number[], options: { clean_up_tokenization_spaces: boolean }): string;
  get_vocab(): Map<string, number>;
  normalizer: ((text: string) => string) | null;
  pre_tokenizer: LibraryPreTokenizer | null;
  /** Tokens of pre-tokenized pieces. */
  model: LibraryModel;
  decoder: LibraryDecoder | null;
}

interface LibraryModel {
  (pieces: string[]): string[];
  tokens_to_ids: Map<string, number>;
  /** Token string of each id, added tokens included; may have holes. */
  vocab: (string | undefined)[];
  /** Of BPE. */
  merges?: unknown[];
  /** What it was made of. */
  config: { vocab: unknown; merges?: unknown };
}

interface LibraryPreTokenizer {
  pre_tokenize(pieces: string[]): string[];
  /** The parts of a sequence. */
  tokenizers?: LibraryPreTokenizer[];
}

interface LibraryDecoder {
  /** Of a ByteFallback decoder. */
  text_decoder?: TextDecoder;
  /** The parts of a sequence. */
  decoders?: LibraryDecoder[];
}

/** @throws ScorerError `TOKENIZER_INVALID` for what the library does not know */
export function buildTokenizer({ json, config, folder }: TokenizerFiles): LibraryTokenizer {
  try {
    // Of the config nothing else may change what the Rust library does; its clean-up would alter 117 ids of Llama 3.
    const options = { clean_up_tokenization_spaces: false, eos_token: config.eos_token };
    const tokenizer: LibraryTokenizer = new Tokenizer({ ...json, model: { ...json.model } }, options);
    if (json.model.type === 'BPE') dropParsedFile(tokenizer.model);
    return tokenizer;
  } catch (error) {
    throw invalid(folder, error instanceof Error ? error.message : String(error), error);
  }
}

/** BPE keeps the lists that it made its tables of, and never looks at them again: 20 MB of Qwen3's. */
function dropParsedFile(model: LibraryModel): void {
  model.config.vocab = {};
  model.config.merges = [];
  model.merges = [];
}
