import type { LibraryTokenizer } from './library.js';
import type { TokenizerFiles } from './tokenizer-files.js';

type Encode = (text: string) => number[];

/** Words of a language and its numbers fit; a full memory is a few tens of megabytes and starts afresh. */
const MAX_PIECES = 2 ** 17;

/** Longer pieces (rules, runs of spaces) seldom come twice. */
const MAX_PIECE_LENGTH = 64;

/**
 * Encoding with a memory of pieces. Byte-level BPE cuts a text into words first and looks at each by itself, and words
 * come again and again: remembering theirs is four times as fast as the library, with the same ids. Tokenizers that are
 * not built so go through the library as they are.
 */
export function createEncoder({ json }: TokenizerFiles, library: LibraryTokenizer): Encode {
  const stages = library.pre_tokenizer?.tokenizers ?? [];
  const toBytes = stages.at(-1);
  if (!toBytes || !looksAtPiecesAlone(json)) return (text) => library.encode(text, { add_special_tokens: false }).ids;

  const addedIds = new Map(json.added_tokens.map(({ content, id }) => [content, id]));
  const splitAtAdded = createSplitter([...addedIds.keys()]);
  const normalise = library.normalizer ?? ((text: string) => text);
  const splitIntoPieces = (text: string): string[] =>
    stages.slice(0, -1).reduce((pieces, stage) => stage.pre_tokenize(pieces), [text]);
  const known = new Map<string, readonly number[]>();

  function idsOfPiece(piece: string): readonly number[] {
    const remembered = known.get(piece);
    if (remembered) return remembered;
    const tokens = library.model(toBytes!.pre_tokenize([piece]));
    const ids = tokens.map((token) => library.model.tokens_to_ids.get(token)!);
    if (known.size === MAX_PIECES) known.clear();
    if (piece.length <= MAX_PIECE_LENGTH) known.set(copyOf(piece), ids);
    return ids;
  }

  return (text) => {
    const ids: number[] = [];
    for (const section of splitAtAdded(text)) {
      const added = addedIds.get(section);
      if (added !== undefined) ids.push(added);
      else for (const piece of splitIntoPieces(normalise(section))) for (const id of idsOfPiece(piece)) ids.push(id);
    }
    return ids;
  };
}

/** A part of a string keeps the whole string in memory; a copy does not. */
function copyOf(text: string): string {
  return Buffer.from(text, 'utf16le').toString('utf16le');
}

/**
 * Whether the ids of a text are those of its pieces, one after the other: BPE after a sequence that ends in ByteLevel,
 * with added tokens that are found in the text as it was given and take no space from their neighbours.
 */
function looksAtPiecesAlone({ model, normalizer, pre_tokenizer, added_tokens }: TokenizerFiles['json']): boolean {
  const stages: unknown = pre_tokenizer?.type === 'Sequence' ? pre_tokenizer.pretokenizers : [];
  const isByteLevel = Array.isArray(stages) && stages.at(-1)?.type === 'ByteLevel';
  const isPlain = (token: (typeof added_tokens)[number]): boolean =>
    !token.lstrip && !token.rstrip && (normalizer === null || !(token.normalized ?? !token.special));
  return model.type === 'BPE' && model.fuse_unk !== true && isByteLevel && added_tokens.every(isPlain);
}

/** Cuts a text at the added tokens; where several begin at one place the longest counts. */
function createSplitter(added: readonly string[]): (text: string) => string[] {
  if (added.length === 0) return (text) => [text];
  const longestFirst = [...added].sort((a, b) => b.length - a.length);
  const pattern = new RegExp(
    `(${longestFirst.map((token) => token.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')).join('|')})`,
  );
  return (text) => text.split(pattern).filter((section) => section !== '');
}
