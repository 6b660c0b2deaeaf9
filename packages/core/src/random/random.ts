import { createHash } from 'node:crypto';

/** A stream of random numbers: the same seed and name always give the same numbers. */
export interface RandomStream {
  /** Uniform in [0, 1), 53 random bits. */
  uniform(): number;
  /** Uniform among the integers 0 … n − 1. */
  below(n: number): number;
}

/**
 * xoshiro128** (Blackman & Vigna, Scrambled Linear Pseudorandom Number Generators, 2021), its 128 bits of state taken
 * from SHA-256 of seed and name. Each consumer draws from a stream with a name of its own, so that a new one, or one
 * that draws more, changes nothing for the others.
 */
export function randomStream(seed: number, name: string): RandomStream {
  const digest = createHash('sha256').update(`${seed} ${name}`).digest();
  let [a, b, c, d] = [0, 4, 8, 12].map((offset) => digest.readInt32LE(offset)) as [number, number, number, number];

  const next = (): number => {
    const result = Math.imul(rotateLeft(Math.imul(b, 5), 7), 9);
    const t = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= t;
    d = rotateLeft(d, 11);
    return result >>> 0;
  };
  const uniform = (): number => ((next() >>> 5) * 2 ** 26 + (next() >>> 6)) / 2 ** 53;
  // The excess of the likelier integers is n / 2^53: nothing at the sizes that occur.
  return { uniform, below: (n) => Math.floor(uniform() * n) };
}

function rotateLeft(x: number, bits: number): number {
  return (x << bits) | (x >>> (32 - bits));
}

/** Puts the elements in random order, in place (Fisher–Yates). */
export function shuffle(values: Uint32Array, random: RandomStream): void {
  for (let i = values.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    const swapped = values[i]!;
    values[i] = values[j]!;
    values[j] = swapped;
  }
}

/** The integers 0 … n − 1 in random order. */
export function permutation(n: number, random: RandomStream): Uint32Array {
  const order = Uint32Array.from({ length: n }, (_, i) => i);
  shuffle(order, random);
  return order;
}

/** k of the integers 0 … n − 1 without replacement, ascending (selection sampling, Knuth, TAOCP 3.4.2, algorithm S). */
export function sampleAscending(n: number, k: number, random: RandomStream): Uint32Array {
  const chosen = new Uint32Array(k);
  let taken = 0;
  for (let i = 0; taken < k; i++) {
    if (random.below(n - i) < k - taken) chosen[taken++] = i;
  }
  return chosen;
}
