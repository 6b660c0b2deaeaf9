import { parentPort, type TransferListItem, workerData } from 'node:worker_threads';
import type { InferenceSession, Tensor } from 'onnxruntime-node';
import { executionProviders } from './device-name.js';
import { freeBuffer } from './free-buffer.js';
import type {
  CarriedRequest,
  RunRequest,
  TensorData,
  TensorType,
  WorkerReply,
  WorkerSetup,
} from './session-protocol.js';

/**
 * Holds one ONNX Runtime session in a thread of its own: `create()` and `run()` block their thread's event loop for
 * as long as they take, which would stop progress, signals and lease renewal in the main one.
 */

type Runtime = typeof import('onnxruntime-node');

const port = parentPort!;

try {
  await serve(workerData as WorkerSetup);
} catch (error) {
  reply({ kind: 'failed', during: 'create', message: messageOf(error) });
}

async function serve(setup: WorkerSetup): Promise<void> {
  // Where the engine has Float16Array (Node 24), onnxruntime-common makes float16 tensors of it, which the native half
  // cannot read ("not enough space"). Without it, here in this thread, both take the bits as a Uint16Array.
  Reflect.deleteProperty(globalThis, 'Float16Array');

  let runtime: Runtime;
  try {
    runtime = await import('onnxruntime-node');
  } catch (error) {
    reply({ kind: 'failed', during: 'import', message: messageOf(error) });
    return;
  }
  const session = await runtime.InferenceSession.create(setup.model, sessionOptions(setup));
  // Outputs of earlier runs that stay here as inputs of the next ones, by input name.
  const carried = new Map<string, Tensor>();

  // One run at a time: with a CUDA session a second one would only compete for the same memory.
  let queue: Promise<void> = Promise.resolve();
  port.on('message', (request: RunRequest | CarriedRequest) => {
    queue = queue.then(() =>
      'carried' in request ? replyCarried(carried, request) : run(runtime, session, carried, request),
    );
  });
  reply({
    kind: 'ready',
    inputs: session.inputNames,
    outputs: session.outputNames,
    runtime: `onnxruntime-node ${runtime.env.versions.node ?? 'unknown'}`,
  });
}

async function run(
  runtime: Runtime,
  session: InferenceSession,
  carried: Map<string, Tensor>,
  { feeds, fetch, carry }: RunRequest,
): Promise<void> {
  try {
    const inputs: Record<string, Tensor> = Object.fromEntries(carried);
    for (const [name, data] of Object.entries(feeds)) inputs[name] = toTensor(runtime, data);
    const results = await session.run(inputs, [...new Set([...fetch, ...Object.keys(carry)])]);
    for (const data of Object.values(feeds)) freeBuffer(data.data);
    for (const [output, input] of Object.entries(carry)) {
      const former = carried.get(input);
      if (former) freeBuffer(former.data as TensorData['data']);
      carried.set(input, results[output]!);
    }

    const outputs: Record<string, TensorData> = {};
    const transfer: TransferListItem[] = [];
    for (const name of fetch) {
      const data = fromTensor(results[name]!);
      outputs[name] = data;
      // What is carried stays in use here, so it is copied; the rest changes hands.
      if (!(name in carry)) transfer.push(data.data.buffer as ArrayBuffer);
    }
    reply({ kind: 'outputs', outputs }, transfer);
  } catch (error) {
    reply({ kind: 'failed', during: 'run', message: messageOf(error) });
  }
}

function replyCarried(carried: Map<string, Tensor>, { carried: names }: CarriedRequest): void {
  const missing = names.find((name) => !carried.has(name));
  if (missing !== undefined) {
    reply({ kind: 'failed', during: 'run', message: `nothing is carried for ${missing}` });
    return;
  }
  const outputs = Object.fromEntries(names.map((name) => [name, fromTensor(carried.get(name)!)]));
  reply({ kind: 'outputs', outputs });
}

function sessionOptions({
  device,
  threads,
  varyingLengths = device !== 'cpu',
  externalDataFolder,
}: WorkerSetup): InferenceSession.SessionOptions {
  return {
    executionProviders: executionProviders(device),
    // Errors reach the caller as messages; the warnings are about node placement, of no use to a user.
    logSeverityLevel: 3,
    // A plan of one block for each new length of input would stand beside the memory of the lengths before it.
    ...(varyingLengths && { enableMemPattern: false }),
    ...(threads !== undefined && { intraOpNumThreads: threads }),
    ...(externalDataFolder !== undefined && {
      extra: { session: { model_external_initializers_file_folder_path: externalDataFolder } },
    }),
  };
}

function toTensor(runtime: Runtime, { type, dims, data }: TensorData): Tensor {
  return new runtime.Tensor(type as 'float32', data as Float32Array, dims);
}

function fromTensor(tensor: Tensor): TensorData {
  return { type: tensor.type as TensorType, dims: tensor.dims, data: tensor.data as TensorData['data'] };
}

function reply(message: WorkerReply, transfer: TransferListItem[] = []): void {
  port.postMessage(message, transfer);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
