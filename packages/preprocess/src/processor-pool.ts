import { Worker } from 'node:worker_threads';
import { ScorerError, type ScorerErrorInit } from '@scorer/core/errors';
import type { BatchOutcome } from './preprocess-batch.js';
import type { Processor, ProcessorDescription, ProcessorOptions } from './processor.js';
import type { InputLine } from './read-input.js';

export type ThreadRequest = readonly InputLine[];

/** A thread answers requests in their order. */
export type ThreadReply =
  | { kind: 'ready'; description: ProcessorDescription }
  | { kind: 'done'; outcome: BatchOutcome }
  | { kind: 'failed'; failure: ThreadFailure };

/** What a thread threw: the parts of a ScorerError, or whatever else, which is a bug. */
export type ThreadFailure = { init: ScorerErrorInit } | { bug: unknown };

/** Each thread has a heap of its own; what dies young needs little room in it, and V8 would take three times as much. */
const RESOURCE_LIMITS = { maxYoungGenerationSizeMb: 16 };

/** One batch in work and one at hand, so that a thread never waits for the next. */
const BATCHES_PER_THREAD = 2;

/**
 * A processor that deals batches to threads, each with a tokenizer of its own.
 * @throws as `openProcessor`
 */
export async function openProcessorPool(
  options: ProcessorOptions,
  { threads: count, signal }: { threads: number; signal: AbortSignal | undefined },
): Promise<Processor> {
  const threads = Array.from({ length: count }, () => openThread(options));
  const stop = (): void => {
    for (const thread of threads) thread.fail(signal?.reason);
  };
  signal?.addEventListener('abort', stop, { once: true });
  const close = async (): Promise<void> => {
    signal?.removeEventListener('abort', stop);
    await Promise.all(threads.map((thread) => thread.close()));
  };
  try {
    const [description] = await Promise.all(threads.map(({ ready }) => ready));
    return {
      description: description!,
      capacity: count * BATCHES_PER_THREAD,
      process: (batch) => threads.reduce((a, b) => (b.load < a.load ? b : a)).process(batch),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

interface Thread {
  readonly ready: Promise<ProcessorDescription>;
  /** Batches in work and waiting. */
  readonly load: number;
  process(batch: readonly InputLine[]): Promise<BatchOutcome>;
  /** Gives up what was asked for; the thread may be in the middle of it. */
  fail(error: unknown): void;
  close(): Promise<void>;
}

function openThread(options: ProcessorOptions): Thread {
  const worker = new Worker(new URL('./processor-worker.js', import.meta.url), {
    workerData: options,
    resourceLimits: RESOURCE_LIMITS,
  });
  const ready = withResolvers<ProcessorDescription>();
  const waiting: Resolvers<BatchOutcome>[] = [];
  let failure: { error: unknown } | undefined;

  const fail = (error: unknown): void => {
    failure ??= { error };
    for (const promise of [ready, ...waiting.splice(0)]) promise.reject(error);
  };
  worker.on('message', (reply: ThreadReply) => {
    if (reply.kind === 'ready') ready.resolve(reply.description);
    else if (reply.kind === 'done') waiting.shift()!.resolve(reply.outcome);
    else fail(toError(reply.failure));
  });
  worker.on('error', fail);
  worker.on('exit', (code) => fail(new Error(`a worker thread ended with code ${code}`)));

  return {
    ready: ready.promise,
    fail,
    get load() {
      return waiting.length;
    },
    async process(batch) {
      if (failure) throw failure.error;
      const outcome = withResolvers<BatchOutcome>();
      waiting.push(outcome);
      worker.postMessage(batch satisfies ThreadRequest);
      return outcome.promise;
    },
    close: async () => void (await worker.terminate()),
  };
}

function toError(failure: ThreadFailure): unknown {
  return 'init' in failure ? new ScorerError(failure.init) : failure.bug;
}

interface Resolvers<Value> {
  promise: Promise<Value>;
  resolve(value: Value): void;
  reject(error: unknown): void;
}

/** `Promise.withResolvers` of Node 22. */
function withResolvers<Value>(): Resolvers<Value> {
  let resolve!: (value: Value) => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<Value>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  // A thread may fail while nobody waits for it.
  promise.catch(() => {});
  return { promise, resolve, reject };
}
