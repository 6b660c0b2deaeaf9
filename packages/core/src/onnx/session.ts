import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { ScorerError } from '../errors/index.js';
import type {
  CarriedRequest,
  RunRequest,
  SessionOptions,
  TensorData,
  WorkerReply,
  WorkerSetup,
} from './session-protocol.js';

/** An ONNX Runtime session in a worker thread. */
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
 * @throws ScorerError `ONNXRUNTIME_MISSING`, `CUDA_UNAVAILABLE`, `ONNX_MODEL_REFUSED`; `OUT_OF_MEMORY` (retryable).
 */
export async function openSession(model: Uint8Array, options: SessionOptions): Promise<OnnxSession> {
  const setup: WorkerSetup = { ...options, model };
  const worker = new Worker(new URL('./session-worker.js', import.meta.url), {
    workerData: setup,
    // Flags of the caller's process, such as --input-type, are not for the worker's file.
    execArgv: [],
  });
  const replies = replyQueue(worker);

  const first = await replies.next();
  if (first.kind !== 'ready') {
    await worker.terminate();
    throw first.kind === 'failed' ? failure(first, options) : unexpected(first);
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
    throw reply.kind === 'failed' ? failure(reply, options) : unexpected(reply);
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
      hint: `run: ${installCommand()}`,
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

/**
 * Installs the runtime beside this package, also inside npx's cache. Its install script is left out: it downloads CUDA
 * libraries and fails behind firewalls (npm then drops the optional dependency), while the CPU library needs no script.
 */
function installCommand(): string {
  const here = fileURLToPath(import.meta.url);
  const root = here.slice(0, Math.max(0, here.lastIndexOf(join('node_modules', '@scorer'))));
  const prefix = root && ` --prefix ${JSON.stringify(root)}`;
  return `npm install --ignore-scripts${prefix} onnxruntime-node@1`;
}
