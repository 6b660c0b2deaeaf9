import { type FileHandle, open, rm } from 'node:fs/promises';
import { onFile, readFully, writeFully } from '@scorer/core/files';
import type { TensorData, TensorType } from '@scorer/core/onnx';

/** Tensors that are put aside and taken back once: in memory as far as a budget goes, the others in a file. */
export interface TensorStore {
  /**
   * The tensors are the store's until they are taken back; until then nothing else is put under the key.
   * @throws ScorerError `DISK_FULL`, …
   */
  put(key: string, tensors: readonly TensorData[]): Promise<void>;
  /** None where nothing was put. */
  take(key: string): Promise<readonly TensorData[]>;
  /** Forgets all. */
  close(): Promise<void>;
}

/** @param path of the file: made once it is needed, gone after `close`, and after a kill too */
export function createTensorStore({ memory, path }: { memory: number; path: string }): TensorStore {
  const inMemory = new Map<string, readonly TensorData[]>();
  let used = 0;
  const file = createTensorFile(path);
  return {
    async put(key, tensors) {
      const bytes = bytesIn(tensors);
      if (used + bytes > memory) return file.put(key, tensors);
      used += bytes;
      inMemory.set(key, tensors);
    },
    async take(key) {
      const tensors = inMemory.get(key);
      if (!tensors) return file.take(key);
      used -= bytesIn(tensors);
      inMemory.delete(key);
      return tensors;
    },
    async close() {
      inMemory.clear();
      await file.close();
    },
  };
}

type Heading = Pick<TensorData, 'type' | 'dims'>;

const ARRAYS: Readonly<Record<TensorType, new (length: number) => TensorData['data']>> = {
  float32: Float32Array,
  float16: Uint16Array,
  int64: BigInt64Array,
  int32: Int32Array,
  uint8: Uint8Array,
  bool: Uint8Array,
};

function createTensorFile(path: string): TensorStore {
  /** A key that comes again is written to the same place. */
  const places = new Map<string, { start: number; bytes: number }>();
  const headings = new Map<string, Heading[]>();
  let end = 0;
  let handle: FileHandle | undefined;

  async function openFile(): Promise<FileHandle> {
    const opened = await onFile(path, () => open(path, 'wx+', 0o600));
    // A file without a name goes when the process ends, however it does. On Windows a name in use stays.
    if (process.platform !== 'win32') await rm(path);
    return opened;
  }

  return {
    async put(key, tensors) {
      handle ??= await openFile();
      const bytes = bytesIn(tensors);
      let place = places.get(key);
      if (!place || place.bytes < bytes) {
        place = { start: end, bytes };
        end += bytes;
        places.set(key, place);
      }
      let position = place.start;
      for (const { data } of tensors) {
        await writeFully(handle, path, position, bytesOf(data));
        position += data.byteLength;
      }
      headings.set(
        key,
        tensors.map(({ type, dims }) => ({ type, dims })),
      );
    },
    async take(key) {
      const tensors: TensorData[] = [];
      let position = places.get(key)?.start ?? 0;
      for (const { type, dims } of headings.get(key) ?? []) {
        const data = new ARRAYS[type](dims.reduce((product, length) => product * length, 1));
        await readFully(handle!, path, position, bytesOf(data));
        position += data.byteLength;
        tensors.push({ type, dims, data });
      }
      headings.delete(key);
      return tensors;
    },
    async close() {
      if (!handle) return;
      await handle.close();
      await rm(path, { force: true });
      handle = undefined;
    },
  };
}

function bytesIn(tensors: readonly TensorData[]): number {
  return tensors.reduce((sum, { data }) => sum + data.byteLength, 0);
}

function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
