import type { Device } from './device-name.js';

/** Messages between `openSession` and its worker thread. */

export type TensorType = 'float32' | 'float16' | 'int64' | 'int32' | 'uint8' | 'bool';

/** A dense tensor, row-major. float16 is held as its bits, since Node 20 has no Float16Array. */
export interface TensorData {
  readonly type: TensorType;
  readonly dims: readonly number[];
  readonly data: Float32Array | Uint16Array | BigInt64Array | Int32Array | Uint8Array;
}

export interface SessionOptions {
  device: Device;
  /** Threads of one operator; ONNX Runtime's own choice (the physical cores) where left out. */
  threads?: number | undefined;
  /** Inputs change their length from run to run: no plan of memory is kept for each length that came. */
  varyingLengths?: boolean | undefined;
  /** Folder that the `location` of external initializers is relative to. */
  externalDataFolder?: string | undefined;
}

export interface RunRequest {
  feeds: Readonly<Record<string, TensorData>>;
  fetch: readonly string[];
  carry: Readonly<Record<string, string>>;
}

/** Asks for what earlier runs carried, by the names of the inputs that it is kept for. */
export interface CarriedRequest {
  carried: readonly string[];
}

export interface WorkerSetup extends SessionOptions {
  model: Uint8Array;
}

export type WorkerReply =
  | { kind: 'ready'; inputs: readonly string[]; outputs: readonly string[]; runtime: string }
  | { kind: 'outputs'; outputs: Record<string, TensorData> }
  | { kind: 'failed'; during: 'import' | 'create' | 'run'; message: string };
