import { Worker } from 'node:worker_threads';
import { sessionFailure } from './session-failure.js';
import type {
  CarriedRequest,
  RunRequest,
  SessionOptions,
  TensorData,
  WorkerReply,
  WorkerSetup,
} from './session-protocol.js';

/** An ONNX Runtime session in a worker thread, which keeps the process running only while something is asked of it. */
export interface OnnxSession {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Name and version of the runtime, for metadata: `onnxruntime-node 1.30.0`. */
  readonly runtime: string;
  /**
   * Runs the graph once; calls may overlap and are served in order. `carry` maps outputs to inputs: such an output
   * stays in the worker and is fed as that input at every later run (training state, KV cache) unless the feeds name
   * it again.
   * `transfer` names feeds whose memory goes to the worker instead of a copy; the caller can't use those again.
   * @throws ScorerError `ONNX_RUN_FAILED`; `OUT_OF_MEMORY` (retryable).
   */
  run(
    feeds: Readonly<Record<string, TensorData>>,
    options: { fetch: readonly string[]; carry?: Readonly<Record<string, string>>; transfer?: readonly string[] },
  ): Promise<Record<string, TensorData>>;
  /** Copies of what earlier runs carried, by the names of the inputs that it is kept for. */
  carried(inputs: readonly string[]): Promise<Record<string, TensorData>>;
  close(): Promise<void>;
}

/**
 * Loads a model into ONNX Runtime (the optional peer `onnxruntime-node`).
 * @param model bytes of an ONNX model; its external initializers are read from `externalDataFolder`.
 * @throws ScorerError `ONNXRUNTIME_MISSING`, `CUDA_UNAVAILABLE`, `CUDA_CARD_MISSING`, `ONNX_MODEL_REFUSED`;
 * `OUT_OF_MEMORY` (retryable).
 */
export async function openSession(model: Uint8Array, options: SessionOptions): Promise<OnnxSession> {
  const setup: WorkerSetup = { ...options, model };
  const worker = new Worker(new URL('./session-worker.js', import.meta.url), {
    workerData: setup,
    // Flags of the caller's process, such as --input-type, are not for the worker's file.
    execArgv: [],
    // Its JavaScript makes little but garbage that dies at once; V8 would keep up to 48 MB for it.
    resourceLimits: { maxYoungGenerationSizeMb: 2 },
  });
  const replies = replyQueue(worker);

  const first = await replies.next();
  if (first.kind !== 'ready') {
    await worker.terminate();
    throw first.kind === 'failed' ? sessionFailure(first, options) : unexpected(first);
  }

  let last: Promise<unknown> = Promise.resolve();
  const ask = async (
    request: RunRequest | CarriedRequest,
    transfer: readonly ArrayBuffer[] = [],
  ): Promise<Record<string, TensorData>> => {
    worker.postMessage(request, transfer);
    const next = replies.next();
    last = next.catch(() => {});
    const reply = await next;
    if (reply.kind === 'outputs') return reply.outputs;
    throw reply.kind === 'failed' ? sessionFailure(reply, options) : unexpected(reply);
  };

  return {
    inputs: first.inputs,
    outputs: first.outputs,
    runtime: first.runtime,
    run(feeds, { fetch, carry = {}, transfer = [] }) {
      const buffers = transfer.map((name) => feeds[name]!.data.buffer as ArrayBuffer);
      return ask({ feeds, fetch, carry }, buffers);
    },
    carried: (inputs) => ask({ carried: inputs }),
    async close() {
      await last;
      await worker.terminate();
    },
  };
}

/**
 * The worker's replies, each to the oldest of those who wait; all of them fail when the worker dies. The worker holds
 * the process while someone waits.
 */
function replyQueue(worker: Worker): { next(): Promise<WorkerReply> } {
  const waiting: { resolve(reply: WorkerReply): void; reject(error: Error): void }[] = [];
  let death: Error | undefined;
  const die = (error: Error): void => {
    death ??= error;
    for (const { reject } of waiting.splice(0)) reject(death);
  };
  worker.on('message', (reply: WorkerReply) => {
    waiting.shift()?.resolve(reply);
    if (waiting.length === 0) worker.unref();
  });
  worker.on('error', die);
  worker.on('exit', (code) => die(new Error(`the inference thread ended with code ${code}`)));
  return {
    next: () =>
      new Promise((resolve, reject) => {
        if (death) return reject(death);
        worker.ref();
        waiting.push({ resolve, reject });
      }),
  };
}

function unexpected(reply: WorkerReply): Error {
  return new Error(`unexpected reply from the inference thread: ${reply.kind}`);
}
