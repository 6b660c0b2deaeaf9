import { Worker } from 'node:worker_threads';
import { ScorerError } from '../errors/index.js';
import type { RunRequest, SessionOptions, TensorData, WorkerReply, WorkerSetup } from './session-protocol.js';

/** An ONNX Runtime session in a worker thread. */
export interface OnnxSession {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Name and version of the runtime, for metadata: `onnxruntime-node 1.30.0`. */
  readonly runtime: string;
  /**
   * Runs the graph once; calls may overlap and are served in order. `carry` maps outputs to inputs: such an output stays in the worker and is
   * fed as that input at every later run (training state, KV cache) unless the feeds name it again.
   * @throws ScorerError `ONNX_RUN_FAILED`; `OUT_OF_MEMORY` (retryable).
   */
  run(
    feeds: Readonly<Record<string, TensorData>>,
    options: { fetch: readonly string[]; carry?: Readonly<Record<string, string>> },
  ): Promise<Record<string, TensorData>>;
  close(): Promise<void>;
}

/**
 * Loads a model into ONNX Runtime (the optional peer `onnxruntime-node`).
 * @param model bytes of an ONNX model; its external initializers are read from `externalDataFolder`.
 * @throws ScorerError `ONNXRUNTIME_MISSING`, `CUDA_UNAVAILABLE`, `ONNX_MODEL_REFUSED`; `OUT_OF_MEMORY` (retryable).
 */
export async function openSession(model: Uint8Array, options: SessionOptions): Promise<OnnxSession> {
  const setup: WorkerSetup = { ...options, model };
  const worker = new Worker(new URL('./session-worker.js', import.meta.url), { workerData: setup });
  const replies = replyQueue(worker);

  const first = await replies.next();
  if (first.kind !== 'ready') {
    await worker.terminate();
    throw first.kind === 'failed' ? failure(first, options) : unexpected(first);
  }

  let last: Promise<unknown> = Promise.resolve();
  return {
    inputs: first.inputs,
    outputs: first.outputs,
    runtime: first.runtime,
    async run(feeds, { fetch, carry = {} }) {
      const request: RunRequest = { feeds, fetch, carry };
      worker.postMessage(request);
      const next = replies.next();
      last = next.catch(() => {});
      const reply = await next;
      if (reply.kind === 'outputs') return reply.outputs;
      throw reply.kind === 'failed' ? failure(reply, options) : unexpected(reply);
    },
    async close() {
      await last;
      await worker.terminate();
    },
  };
}

/** The worker's replies, each to the oldest of those who wait; all of them fail when the worker dies. */
function replyQueue(worker: Worker): { next(): Promise<WorkerReply> } {
  const waiting: { resolve(reply: WorkerReply): void; reject(error: Error): void }[] = [];
  let death: Error | undefined;
  const die = (error: Error): void => {
    death ??= error;
    for (const { reject } of waiting.splice(0)) reject(death);
  };
  worker.on('message', (reply: WorkerReply) => waiting.shift()?.resolve(reply));
  worker.on('error', die);
  worker.on('exit', (code) => die(new Error(`the inference thread ended with code ${code}`)));
  return {
    next: () => new Promise((resolve, reject) => (death ? reject(death) : waiting.push({ resolve, reject }))),
  };
}

function failure(reply: Extract<WorkerReply, { kind: 'failed' }>, { device }: SessionOptions): ScorerError {
  const what = reply.message.split('\n')[0]!;
  if (reply.during === 'import') {
    return new ScorerError({
      code: 'ONNXRUNTIME_MISSING',
      what: 'onnxruntime-node is not installed or does not load here',
      where: what,
      hint: 'run: ONNXRUNTIME_NODE_INSTALL=skip npm install onnxruntime-node',
    });
  }
  if (/out of memory|failed to allocate|bad_alloc|cudaErrorMemoryAllocation/i.test(reply.message)) {
    return new ScorerError({
      code: 'OUT_OF_MEMORY',
      kind: 'retryable',
      what,
      where: device,
      hint: 'free memory, or use a smaller batch or a shorter trace',
    });
  }
  if (reply.during === 'create' && device === 'cuda') {
    return new ScorerError({
      code: 'CUDA_UNAVAILABLE',
      what,
      where: '--device cuda',
      hint: 'run scorer-hidden-states doctor, or use --device cpu',
    });
  }
  const code = reply.during === 'create' ? 'ONNX_MODEL_REFUSED' : 'ONNX_RUN_FAILED';
  return new ScorerError({ code, what, where: `ONNX Runtime (${device})` });
}

function unexpected(reply: WorkerReply): Error {
  return new Error(`unexpected reply from the inference thread: ${reply.kind}`);
}
