import { createReadStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { ScorerError } from '../errors/index.js';
import {
  createAtomicFile,
  type FileLock,
  fileExists,
  lockFile,
  removeStaleTemporaries,
  removeTemporariesOf,
  syncFolder,
} from '../files/index.js';
import type { ShardOrigin } from '../schema/index.js';
import type { ShardShape } from './layout.js';
import { openPartial, partialPath } from './partial.js';
import { type SealOptions, type ShardSummary, sealShard } from './seal.js';
import { checkTrace, type TraceStates } from './trace.js';

export interface ShardWriterOptions extends ShardShape {
  /** Where the hidden states come from. */
  metadata: ShardOrigin;
  /** What to do where a shard stands already, or a partial of another shape or origin: `refuse` by default. */
  overwrite?: 'refuse' | 'replace';
}

export interface ShardWriter {
  readonly path: string;
  /** Indices of the traces that are on disk, those of earlier runs included. */
  readonly finished: ReadonlySet<number>;
  /**
   * Adds a trace, in any order. It is durable once the promise resolves; appends that wait at the same time share one
   * sync. After an error of the disk the writer only closes; a new one goes on where the disk stands.
   * @throws ScorerError `SHARD_TRACE_INVALID`, `SHARD_TRACE_REPEATED` (usage), `LOCK_LOST` (retryable) where this process
   * was silent so long that one on another host has gone on with the shard, `DISK_FULL`, …
   */
  append(trace: TraceStates): Promise<void>;
  /**
   * Makes the shard of all traces so far, removes the partial and closes. Aborted or failed, the partial stays.
   * @throws ScorerError as `append`
   */
  seal(options?: SealOptions): Promise<ShardSummary>;
  /** Keeps the partial for another time. */
  close(): Promise<void>;
}

/**
 * Begins the shard at `path` or goes on with its partial.
 * @throws ScorerError `SHARD_EXISTS`, `PARTIAL_MISMATCH` (usage), `SHARD_LOCKED` (retryable), `FILE_NOT_FOUND` where
 * the folder is missing, …
 */
export async function openShardWriter(path: string, options: ShardWriterOptions): Promise<ShardWriter> {
  const { hiddenSize, storage, confidenceTopK, metadata: origin, overwrite = 'refuse' } = options;
  const layers = options.layers.toSorted((a, b) => a - b);
  const shape: ShardShape = { layers, hiddenSize, storage, confidenceTopK };

  const lock = await takeLock(path);
  const partial = await openUnderLock().catch(async (error: unknown) => {
    await lock.release();
    throw error;
  });

  async function openUnderLock() {
    if (overwrite === 'refuse' && (await fileExists(path))) throw existsError(path);
    await removeStaleTemporaries(dirname(path));
    return openPartial(path, shape, origin, overwrite);
  }

  const finished = new Set(partial.records.keys());
  /** Also those that are on their way to the disk. */
  const taken = new Set(finished);
  let waiting: { trace: TraceStates; done: () => void; failed: (error: unknown) => void }[] = [];
  let writing: Promise<void> | undefined;
  let failure: unknown;
  let closed = false;
  let sealing = false;

  /** Writes all that waits, syncs once, and again until nothing waits. */
  async function drain(): Promise<void> {
    while (waiting.length > 0) {
      const batch = waiting;
      waiting = [];
      try {
        if (failure) throw failure;
        await lock.assertHeld();
        for (const { trace } of batch) await partial.append(trace);
        await partial.sync();
        for (const { trace, done } of batch) {
          finished.add(trace.traceIndex);
          done();
        }
      } catch (error) {
        // The end of the log is not known any more: only a new opening finds out what is whole.
        failure = error;
        for (const { failed } of batch) failed(error);
      }
    }
    writing = undefined;
  }

  async function close(): Promise<void> {
    if (closed) return;
    closed = true;
    await writing;
    await partial.close();
    await lock.release();
  }

  return {
    path,
    finished,
    async append(trace) {
      if (closed || sealing) throw closedError(path);
      checkTrace(trace, shape);
      if (taken.has(trace.traceIndex)) throw repeatedError(path, trace.traceIndex);
      taken.add(trace.traceIndex);
      await new Promise<void>((done, failed) => {
        waiting.push({ trace, done, failed });
        writing ??= drain();
      });
    },
    async seal(sealOptions = {}) {
      if (closed || sealing) throw closedError(path);
      sealing = true;
      try {
        await writing;
        if (failure) throw failure;
        const summary = await sealShard(path, partial, shape, origin, { ...sealOptions, lock });
        await lock.assertHeld();
        await rm(partialPath(path), { force: true });
        await syncFolder(dirname(path));
        await close();
        return summary;
      } finally {
        sealing = false;
      }
    },
    close,
  };
}

/** Removes a partial that stayed behind a finished shard: of a process killed between making one and removing the other. */
export async function removePartial(path: string): Promise<void> {
  const lock = await takeLock(path);
  await rm(partialPath(path), { force: true });
  await lock.release();
}

/**
 * Shuts out a writer on another host that has lost the lock but may only be frozen, at any instruction. It has the
 * partial open: that file is replaced by a copy. It may be about to rename the shard that it sealed: that file is removed.
 */
async function shutOut(path: string): Promise<void> {
  const log = partialPath(path);
  for (const written of [path, log]) await removeTemporariesOf(written);
  if (!(await fileExists(log))) return;
  const copy = await createAtomicFile(log);
  try {
    for await (const bytes of createReadStream(log)) await copy.write(bytes);
    await copy.commit();
  } finally {
    await copy.discard();
  }
}

async function takeLock(path: string): Promise<FileLock> {
  const lock = await lockFile(path, { shutOut: () => shutOut(path) });
  if (lock) return lock;
  const what = 'another process is writing this shard';
  throw new ScorerError({ code: 'SHARD_LOCKED', kind: 'retryable', what, where: path, hint: 'wait for it or stop it' });
}

function existsError(where: string): ScorerError {
  const hint = "remove it, or pass overwrite: 'replace' (--overwrite)";
  return new ScorerError({ code: 'SHARD_EXISTS', kind: 'usage', what: 'the shard exists', where, hint });
}

function repeatedError(path: string, traceIndex: number): ScorerError {
  const what = `trace ${traceIndex} was appended before`;
  return new ScorerError({ code: 'SHARD_TRACE_REPEATED', kind: 'usage', what, where: path });
}

function closedError(where: string): ScorerError {
  return new ScorerError({ code: 'SHARD_WRITER_CLOSED', kind: 'usage', what: 'the shard writer is closed', where });
}
