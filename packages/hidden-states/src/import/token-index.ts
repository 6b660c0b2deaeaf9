/**
 * Finds sequences of tokens by what they begin with. A sequence is entered under hashes of its first 2^k tokens, for its
 * largest few k; another that is equal to it but for what follows is then found by its own largest 2^k.
 */
export interface TokenIndex {
  add(id: number, tokens: ArrayLike<number>): void;
  /**
   * Sequences that may begin with the first `length` tokens: all that do, where they are not more than 8 times as long.
   * Where none does, those that share the longest beginning that is known of.
   */
  candidates(tokens: ArrayLike<number>, length: number): readonly number[];
}

/** Powers of two under which a sequence is entered. */
const LEVELS = 4;

export function createTokenIndex(): TokenIndex {
  const idsOf = new Map<number, number[]>();
  return {
    add(id, tokens) {
      for (const key of prefixKeys(tokens, tokens.length).slice(-LEVELS)) {
        const ids = idsOf.get(key);
        if (ids) ids.push(id);
        else idsOf.set(key, [id]);
      }
    },
    candidates(tokens, length) {
      for (const key of prefixKeys(tokens, length).reverse()) {
        const ids = idsOf.get(key);
        if (ids) return ids;
      }
      return [];
    },
  };
}

/** A key for the first 1, 2, 4, 8 … tokens, up to `length`. */
function prefixKeys(tokens: ArrayLike<number>, length: number): number[] {
  const keys: number[] = [];
  // Two 32-bit FNV-1a hashes over whole ids; of the second 20 bits fill the number up to 52.
  let a = 0x811c9dc5;
  let b = 0x9747b28c;
  for (let i = 0; i < length; i++) {
    a = Math.imul(a ^ tokens[i]!, 0x01000193);
    b = Math.imul(b ^ (tokens[i]! + i), 0x85ebca6b);
    b ^= b >>> 15;
    const count = i + 1;
    if ((count & i) === 0) keys.push(((a ^ (a >>> 16) ^ count) >>> 0) * 2 ** 20 + (b >>> 12));
  }
  return keys;
}
