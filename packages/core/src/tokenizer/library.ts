import type { TextDecoder } from 'node:util';
import { Tokenizer } from '@huggingface/tokenizers';
import { invalid, type TokenizerFiles } from './tokenizer-files.js';

/** What is used of `@huggingface/tokenizers`: its own types (0.2.0) don't resolve under `nodenext`. */
export interface LibraryTokenizer {
  encode(text: string, options: { add_special_tokens: boolean }): { ids: number[] };
  decode(ids: number[], options: { clean_up_tokenization_spaces: boolean }): string;
  id_to_token(id: number): string | undefined;
  get_vocab(): Map<string, number>;
  normalizer: ((text: string) => string) | null;
  pre_tokenizer: LibraryPreTokenizer | null;
  /** Tokens of pre-tokenized pieces. */
  model: { (pieces: string[]): string[]; tokens_to_ids: Map<string, number> };
  decoder: LibraryDecoder | null;
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
    return new Tokenizer(json, { clean_up_tokenization_spaces: false, eos_token: config.eos_token });
  } catch (error) {
    throw invalid(folder, error instanceof Error ? error.message : String(error), error);
  }
}
