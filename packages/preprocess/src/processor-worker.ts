import { parentPort, workerData } from 'node:worker_threads';
import { ScorerError } from '@scorer/core/errors';
import { openProcessor, type ProcessorOptions } from './processor.js';
import type { ThreadFailure, ThreadReply, ThreadRequest } from './processor-pool.js';

/** The other end of processor-pool.ts: one processor, asked for one batch after the other. */

const port = parentPort!;
const reply = (message: ThreadReply, transfer: ArrayBuffer[] = []): void => port.postMessage(message, transfer);

try {
  const processor = await openProcessor(workerData as ProcessorOptions);
  port.on('message', async (batch: ThreadRequest) => {
    try {
      const outcome = await processor.process(batch);
      const buffers = [outcome.records, outcome.rejects].map(({ buffer }) => buffer as ArrayBuffer);
      reply({ kind: 'done', outcome }, buffers);
    } catch (error) {
      reply({ kind: 'failed', failure: toFailure(error) });
    }
  });
  reply({ kind: 'ready', description: processor.description });
} catch (error) {
  reply({ kind: 'failed', failure: toFailure(error) });
}

/** An error that is sent to another thread keeps its message only. */
function toFailure(error: unknown): ThreadFailure {
  if (!(error instanceof ScorerError)) return { bug: error };
  const { code, kind, what, where, hint } = error;
  return { init: { code, kind, what, where, hint } };
}
