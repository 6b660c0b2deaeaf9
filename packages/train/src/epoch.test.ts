import { setImmediate } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { BatchRun, Engine } from './engine/engine.js';
import { trainEpoch } from './epoch.js';

test('a run is put together while the engine is at work on the one before, which is done before the next begins', async () => {
  const events: string[] = [];
  async function* runs(): AsyncGenerator<BatchRun> {
    for (const label of [1, 2, 3]) {
      events.push(`made ${label}`);
      const rows = { type: 'float32', count: 1, data: new Float32Array(1) } as const;
      yield { batchSize: 1, rows, labels: Float32Array.of(label) };
    }
  }
  const engine: Pick<Engine, 'trainBatches'> = {
    async trainBatches({ labels: [label] }) {
      events.push(`begun ${label}`);
      await setImmediate();
      events.push(`done ${label}`);
      return Float32Array.of(label!);
    },
  };
  const loss = await trainEpoch(engine, runs(), { onRows: () => {} });
  const order = 'made 1, begun 1, made 2, done 1, begun 2, made 3, done 2, begun 3, done 3';
  expect(events.join(', ')).toBe(order);
  expect(loss).toBe(2);
});
