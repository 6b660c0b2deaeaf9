import { describe, expect, it } from 'vitest';
import { mapInOrder } from './map-in-order.js';

/** Counts how many of its numbers were taken. */
function numbers(count: number) {
  const source = { taken: 0, [Symbol.asyncIterator]: iterate };
  async function* iterate(): AsyncGenerator<number> {
    for (; source.taken < count; source.taken += 1) yield source.taken;
  }
  return source;
}

async function collect<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const collected: Item[] = [];
  for await (const item of items) collected.push(item);
  return collected;
}

describe('mapInOrder', () => {
  it('keeps the order when later work is done first', async () => {
    const finish = new Map<number, () => void>();
    const results = mapInOrder(numbers(4), { ahead: 2 }, async (n) => {
      await new Promise<void>((resolve) => finish.set(n, resolve));
      return n * n;
    });
    const collected = collect(results);
    for (const n of [1, 0, 3, 2]) {
      while (!finish.has(n)) await new Promise(setImmediate);
      finish.get(n)!();
    }
    expect(await collected).toEqual([0, 1, 4, 9]);
  });

  it('takes no more than it may ahead of its reader', async () => {
    const source = numbers(100);
    const results = mapInOrder(source, { ahead: 3 }, async (n) => n);
    await results.next();
    await results.next();
    expect(source.taken).toBeLessThanOrEqual(4);
  });

  it('throws what the work threw, in its turn', async () => {
    const results = mapInOrder(numbers(3), { ahead: 3 }, async (n) => {
      if (n === 1) throw new Error('one');
      return n;
    });
    expect(await results.next()).toEqual({ done: false, value: 0 });
    await expect(results.next()).rejects.toThrow('one');
  });
});
