import { isUtf8 } from 'node:buffer';
import { onFile, openFile, readFully } from '../files/index.js';
import { dtypeBytes } from '../safetensors/index.js';
import { torchError } from './errors.js';
import { unpickle } from './pickle.js';
import type { TorchTensor, TorchText, TorchValue } from './value.js';
import { openZipEntry, readZipIndex, type ZipContent } from './zip.js';

export interface TorchFile {
  readonly path: string;
  readonly value: TorchValue;
  /**
   * A tensor's elements, little endian, row-major whatever its strides, in a buffer of their own. A storage is read
   * whole when it is first met, for its checksum; nothing of it is kept.
   * @throws ScorerError `TORCH_CHECKSUM`, `TORCH_ENTRY_MISSING`, `TORCH_TENSOR_INVALID`
   */
  read(tensor: TorchTensor): Promise<Uint8Array>;
  /** @throws ScorerError `TORCH_PICKLE_INVALID` where it is not UTF-8 */
  readText(text: TorchText): Promise<string>;
  close(): Promise<void>;
}

/** Of torch.save before version 1.6: a pickled long 0x1950a86a20f9469cfc6c. */
const LEGACY_START = Buffer.from('80028a0a6cfc9c46f9206aa85019', 'hex');
const ZIP_START = Buffer.from('504b0304', 'hex');

/**
 * Opens a file that torch.save wrote (the zip format, PyTorch 1.6 and later) and reads its values; tensors stay in the
 * file until they are asked for. Nothing in the file is executed. Source: PyTorch's torch/serialization.py.
 * @throws ScorerError `TORCH_LEGACY_FORMAT`, `TORCH_NOT_ZIP`, `TORCH_ZIP_INVALID`, `TORCH_ZIP_UNSUPPORTED`,
 * `TORCH_ENTRY_MISSING`, `TORCH_CHECKSUM`, `TORCH_FORBIDDEN`, `TORCH_PICKLE_INVALID`, `TORCH_TENSOR_INVALID`,
 * `TORCH_LIMIT`, `FILE_NOT_FOUND`, …
 */
export async function openTorch(path: string): Promise<TorchFile> {
  const handle = await openFile(path);
  try {
    const { size } = await onFile(path, () => handle.stat());
    const start = Buffer.alloc(Math.min(LEGACY_START.length, size));
    await readFully(handle, path, 0, start);
    if (start.equals(LEGACY_START)) {
      throw torchError('TORCH_LEGACY_FORMAT', 'it is in the format of PyTorch before 1.6, a bare pickle', path);
    }
    if (!start.subarray(0, ZIP_START.length).equals(ZIP_START)) {
      throw torchError('TORCH_NOT_ZIP', 'torch.save did not write it: it is no zip archive', path);
    }
    const entries = await readZipIndex(handle, path, size);
    const pickleName = [...entries.keys()].find((name) => /^[^/]+\/data\.pkl$/.test(name));
    if (pickleName === undefined) throw missing('data.pkl', path);
    const folder = pickleName.slice(0, -'data.pkl'.length);

    const contentOf = async (name: string): Promise<ZipContent> => {
      const entry = entries.get(folder + name);
      if (!entry) throw missing(name, path);
      return openZipEntry(handle, path, entry);
    };
    await requireLittleEndian();
    const pickle = await contentOf('data.pkl');
    const { value, storages } = await unpickle(pickle, `data.pkl of ${path}`);

    async function requireLittleEndian(): Promise<void> {
      if (!entries.has(`${folder}byteorder`)) return;
      const content = await contentOf('byteorder');
      const order = Buffer.alloc(Math.min(content.size, 'little'.length));
      await content.read(0, order);
      if (order.toString('latin1') !== 'little') {
        throw torchError('TORCH_TENSOR_INVALID', 'its tensors are not little-endian', path);
      }
    }

    /** Those whose checksum was seen to hold. */
    const known = new Map<string, ZipContent>();
    async function storageContent({ storage: name, dtype }: TorchTensor): Promise<ZipContent> {
      const found = known.get(name);
      if (found) return found;
      const content = await contentOf(`data/${name}`);
      const bytes = storages.get(name)!.size * dtypeBytes(dtype);
      if (content.size !== bytes) {
        throw torchError('TORCH_TENSOR_INVALID', `storage ${name} has ${content.size} bytes, not ${bytes}`, path);
      }
      known.set(name, content);
      return content;
    }

    return {
      path,
      value,
      async read(tensor) {
        const content = await storageContent(tensor);
        const width = dtypeBytes(tensor.dtype);
        if (tensor.size === 0) return new Uint8Array();
        const span = new Uint8Array(spanOf(tensor) * width);
        await content.read(tensor.offset * width, span);
        return isRowMajor(tensor) ? span : gathered(tensor, span, width);
      },
      async readText({ position, byteLength }) {
        const bytes = Buffer.alloc(byteLength);
        await pickle.read(position, bytes);
        if (isUtf8(bytes)) return bytes.toString('utf8');
        throw torchError('TORCH_PICKLE_INVALID', 'a text is not UTF-8', path);
      },
      close: () => handle.close(),
    };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** Elements from a tensor's first to its last, as they lie in the storage. */
function spanOf({ shape, strides }: TorchTensor): number {
  return shape.reduce((last, length, i) => last + (length - 1) * strides[i]!, 0) + 1;
}

function isRowMajor({ shape, strides }: TorchTensor): boolean {
  let expected = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    if (shape[i] !== 1 && strides[i] !== expected) return false;
    expected *= shape[i]!;
  }
  return true;
}

function gathered(tensor: TorchTensor, span: Uint8Array, width: number): Uint8Array {
  const { shape, strides, size } = tensor;
  const target = new Uint8Array(size * width);
  const index = shape.map(() => 0);
  for (let i = 0; i < size; i++) {
    const from = index.reduce((sum, at, axis) => sum + at * strides[axis]!, 0) * width;
    target.set(span.subarray(from, from + width), i * width);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      index[axis]! += 1;
      if (index[axis]! < shape[axis]!) break;
      index[axis] = 0;
    }
  }
  return target;
}

function missing(name: string, path: string): Error {
  return torchError('TORCH_ENTRY_MISSING', `the archive has no ${name}`, path);
}
