import { permutation, randomStream, shuffle } from '../random/index.js';

export interface ShuffleChoice {
  /** Rows in all. */
  count: number;
  /** Neighbours that stay in one chunk. */
  blockRows: number;
  chunkRows: number;
  seed: number;
}

/**
 * The numbers 0 … count − 1 in random order, chunk by chunk: blocks of neighbours in random order fill a chunk, whose
 * rows are then put in random order themselves. So a chunk costs as many reads as it has blocks, and its rows come from
 * all over the set. With blocks of one row the order is a plain random permutation.
 */
export function* shuffledChunks({ count, blockRows, chunkRows, seed }: ShuffleChoice): Generator<Uint32Array> {
  const random = randomStream(seed, 'shuffle');
  const blocks = permutation(Math.ceil(count / blockRows), random);

  let chunk = new Uint32Array(Math.min(chunkRows, count));
  let filled = 0;
  let left = count;
  for (const block of blocks) {
    const end = Math.min((block + 1) * blockRows, count);
    for (let row = block * blockRows; row < end; row++) {
      chunk[filled++] = row;
      if (filled < chunk.length) continue;
      shuffle(chunk, random);
      yield chunk;
      left -= filled;
      chunk = new Uint32Array(Math.min(chunkRows, left));
      filled = 0;
    }
  }
}
