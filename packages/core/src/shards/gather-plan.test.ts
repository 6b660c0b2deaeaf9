import fc from 'fast-check';
import { expect, test } from 'vitest';
import { planGather, type RowLayout } from './gather-plan.js';

const ROW_BYTES = 4096;
const LAYER_START = 1000;

/** Shards of 300, 0 and 5,000 rows, with descriptors 10, 11 and 12. */
const LAYOUT: RowLayout = {
  hiddenSize: ROW_BYTES / 2,
  storage: 'F16',
  rowOffsets: Float64Array.of(0, 300, 300, 5300),
  shards: [10, 11, 12].map((fd) => ({ fd, layerStart: () => LAYER_START })),
};

interface Read {
  shard: number;
  fd: number;
  position: number;
  bytes: number;
  parts: { from: number; to: number; bytes: number }[];
}

function readsOf(rows: number[]): Read[] {
  return planGather(LAYOUT, 0, Uint32Array.from(rows)).flatMap((job) => {
    const numbers = [...job];
    const reads: Read[] = [];
    while (numbers.length > 0) {
      const [shard, fd, position, bytes, count] = numbers.splice(0, 5) as [number, number, number, number, number];
      const parts = Array.from({ length: count }, () => {
        const [from, to, bytes] = numbers.splice(0, 3) as [number, number, number];
        return { from, to, bytes };
      });
      reads.push({ shard, fd, position, bytes, parts });
    }
    return reads;
  });
}

const at = (rowOfShard: number) => LAYER_START + rowOfShard * ROW_BYTES;

test('neighbours are one read of one part, up to the end of their shard', () => {
  expect(readsOf([298, 299, 300, 301, 302])).toEqual([
    { shard: 0, fd: 10, position: at(298), bytes: 2 * ROW_BYTES, parts: [{ from: 0, to: 0, bytes: 2 * ROW_BYTES }] },
    {
      shard: 2,
      fd: 12,
      position: at(0),
      bytes: 3 * ROW_BYTES,
      parts: [{ from: 0, to: 2 * ROW_BYTES, bytes: 3 * ROW_BYTES }],
    },
  ]);
});

test('a small gap is read over, a large one is not', () => {
  expect(readsOf([0, 5]).map(({ bytes, parts }) => [bytes, parts.length])).toEqual([[6 * ROW_BYTES, 2]]);
  expect(readsOf([0, 6]).map(({ bytes }) => bytes)).toEqual([ROW_BYTES, ROW_BYTES]);
});

test('no read is larger than 1 MiB', () => {
  const reads = readsOf(Array.from({ length: 1000 }, (_, i) => 1000 + i));
  expect(reads.map(({ bytes }) => bytes / ROW_BYTES)).toEqual([256, 256, 256, 232]);
});

test('rows in any order, repeated or not, come to their places, each byte by one part, in reads that rise', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.nat(5299), fc.integer({ min: 280, max: 320 })), { maxLength: 60 }), (rows) => {
      const reads = readsOf(rows);
      const arrived: (number | undefined)[] = rows.map(() => undefined);
      for (const { shard, position, parts, bytes } of reads) {
        for (const part of parts) {
          expect(part.from + part.bytes).toBeLessThanOrEqual(bytes);
          for (let done = 0; done < part.bytes; done += ROW_BYTES) {
            const slot = (part.to + done) / ROW_BYTES;
            expect(arrived[slot]).toBeUndefined();
            arrived[slot] = LAYOUT.rowOffsets[shard]! + (position - LAYER_START + part.from + done) / ROW_BYTES;
          }
        }
      }
      expect(arrived).toEqual(rows);
      const order = reads.map(({ shard, position }) => shard * 1e9 + position);
      expect(order).toEqual(order.toSorted((a, b) => a - b));
    }),
  );
});
