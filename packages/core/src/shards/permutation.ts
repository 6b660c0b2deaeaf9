import { createHash } from 'node:crypto';

/** Uniform among the integers 0 … n − 1. */
export type RandomBelow = (n: number) => number;

/**
 * xoshiro128** (Blackman & Vigna, Scrambled Linear Pseudorandom Number Generators, 2021), its state taken from SHA-256
 * of `key`: equal keys give equal numbers, on any machine.
 */
export function randomBelow(key: string): RandomBelow {
  const digest = createHash('sha256').update(key).digest();
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
  // 53 random bits; the excess of the likelier integers is n / 2^53.
  return (n) => Math.floor((((next() >>> 5) * 2 ** 26 + (next() >>> 6)) / 2 ** 53) * n);
}

function rotateLeft(x: number, bits: number): number {
  return (x << bits) | (x >>> (32 - bits));
}

/** Puts the elements in random order, in place (Fisher–Yates). */
export function shuffle(values: Uint32Array, below: RandomBelow): void {
  for (let i = values.length - 1; i > 0; i--) {
    const j = below(i + 1);
    const swapped = values[i]!;
    values[i] = values[j]!;
    values[j] = swapped;
  }
}
