import { Worker } from 'node:worker_threads';
import { fromSystemError, ScorerError } from '../errors/index.js';
import type { ReadJob } from './gather-plan.js';

/** Memory that several threads see. */
export type SharedBytes = Uint8Array<SharedArrayBuffer>;

export interface JobRequest {
  job: ReadJob;
  target: SharedBytes;
}

/** Null where all was read; else the shard whose file failed and its error, or that it ends too early. */
export type JobReply = null | { shard: number; errno: string; message: string } | { shard: number; endsAt: number };

/** Threads that read while this one computes. */
export interface RowReader {
  /**
   * Does the jobs, in any order, and resolves when all are done.
   * @throws ScorerError `DISK_ERROR`, `FILE_TRUNCATED`, …
   */
  read(jobs: readonly ReadJob[], target: SharedBytes): Promise<void>;
  /** Waits for the jobs that are under way. */
  close(): Promise<void>;
}

interface ReaderThread {
  readonly worker: Worker;
  /** Jobs under way, in the order in which their replies will come. */
  readonly pending: { done: (reply: JobReply) => void; failed: (error: unknown) => void }[];
}

/**
 * A thread with blocking reads takes single rows out of the page cache several times faster than awaited reads do, and
 * leaves the event loop alone. From a disk the rows come faster the more reads wait at once, each in a thread; more than
 * this many cost more memory (9 MB each) than they gain.
 */
const MAX_THREADS = 4;

/**
 * Threads start when they are first needed, and none keeps the process alive while it idles.
 * @param paths of the shards, by number, for the errors
 */
export function createRowReader(paths: readonly string[]): RowReader {
  const threads: ReaderThread[] = [];

  function startThread(): ReaderThread {
    const worker = new Worker(new URL('./row-reader-worker.js', import.meta.url), {
      // Flags of the main program are not for it: with --input-type no file would load.
      execArgv: [],
      // It makes nothing but garbage that dies at once: a small heap saves 3 MB a thread.
      resourceLimits: { maxYoungGenerationSizeMb: 1 },
    });
    const thread: ReaderThread = { worker, pending: [] };
    worker.on('message', (reply: JobReply) => settle(thread).done(reply));
    worker.on('error', (error) => {
      threads.splice(threads.indexOf(thread), 1);
      while (thread.pending.length > 0) settle(thread).failed(error);
    });
    worker.unref();
    threads.push(thread);
    return thread;
  }

  function settle({ worker, pending }: ReaderThread) {
    const job = pending.shift()!;
    if (pending.length === 0) worker.unref();
    return job;
  }

  /** One that idles, a new one, or that with the least to do. */
  function pickThread(): ReaderThread {
    const leastBusy = threads.toSorted((a, b) => a.pending.length - b.pending.length)[0];
    if (leastBusy?.pending.length === 0) return leastBusy;
    return threads.length < MAX_THREADS ? startThread() : leastBusy!;
  }

  function run(job: ReadJob, target: SharedBytes): Promise<JobReply> {
    const { worker, pending } = pickThread();
    if (pending.length === 0) worker.ref();
    const reply = new Promise<JobReply>((done, failed) => pending.push({ done, failed }));
    worker.postMessage({ job, target } satisfies JobRequest, [job.buffer]);
    return reply;
  }

  let last: Promise<void> = Promise.resolve();
  return {
    async read(jobs, target) {
      const replies = Promise.allSettled(jobs.map((job) => run(job, target)));
      last = Promise.all([last, replies]).then(() => {});
      // All of them, also after one has failed: until then the threads write into the target.
      for (const outcome of await replies) {
        if (outcome.status === 'rejected') throw outcome.reason;
        if (outcome.value) throw readError(outcome.value, paths);
      }
    },
    async close() {
      await last;
      await Promise.all(threads.map(({ worker }) => worker.terminate()));
      threads.length = 0;
    },
  };
}

function readError(failure: NonNullable<JobReply>, paths: readonly string[]): unknown {
  const where = paths[failure.shard]!;
  if ('errno' in failure) {
    return fromSystemError(Object.assign(new Error(failure.message), { code: failure.errno }), where);
  }
  const what = `the file ends at byte ${failure.endsAt}`;
  const hint = 'it was cut while it was open; make or copy it again';
  return new ScorerError({ code: 'FILE_TRUNCATED', what, where, hint });
}
