import { ScorerError } from '../errors/index.js';
import { onFile, openFile, readFully, readRanges } from '../files/index.js';
import { headerLength, LENGTH_BYTES, parseHeader, type SafetensorsHeader, type TensorInfo } from './header.js';

export interface SafetensorsFile extends SafetensorsHeader {
  readonly path: string;
  /** The open file's descriptor, for readers in other threads; good until `close`. */
  readonly fd: number;
  /** @throws ScorerError `TENSOR_NOT_FOUND` */
  tensor(name: string): TensorInfo;
  /** All bytes of a tensor, in a buffer of their own, so that any typed array can view them. */
  read(name: string): Promise<Uint8Array>;
  /**
   * Bytes of the rows `firstRow` ≤ row < `endRow` along the first dimension; nothing else is read.
   * @param into filled from its start; without it a new buffer is made
   * @returns the part of `into` that was filled
   * @throws ScorerError `ROWS_OUT_OF_RANGE`, `BUFFER_TOO_SMALL` (usage)
   */
  readRows(name: string, firstRow: number, endRow: number, into?: Uint8Array): Promise<Uint8Array>;
  /**
   * All bytes of a tensor in order, in pieces of up to 4 MiB, whole elements each. The next is read while one is in use,
   * and takes its place afterwards: copy what is kept.
   */
  stream(name: string): AsyncGenerator<Uint8Array, void, undefined>;
  close(): Promise<void>;
}

/** Headers of shards and small models fit, so that one read is all that opening costs. */
const FIRST_READ_BYTES = 16 * 1024;

/**
 * Opens a safetensors file for random access and validates its header; no data is read.
 * @throws ScorerError `FILE_NOT_FOUND`, `IS_A_FOLDER`, `NOT_A_FILE`, …, and the codes of `parseHeader`
 */
export async function openSafetensors(path: string): Promise<SafetensorsFile> {
  const handle = await openFile(path);
  try {
    const { size } = await onFile(path, () => handle.stat());
    let head = new Uint8Array(Math.min(FIRST_READ_BYTES, size));
    await readFully(handle, path, 0, head);
    const bytes = LENGTH_BYTES + headerLength(head, size, path);
    if (bytes > head.length) {
      head = new Uint8Array(bytes);
      await readFully(handle, path, 0, head);
    }
    const header = parseHeader(head, size, path);

    function tensor(name: string): TensorInfo {
      const info = header.tensors.get(name);
      if (info) return info;
      throw new ScorerError({ code: 'TENSOR_NOT_FOUND', what: `no tensor ${JSON.stringify(name)}`, where: path });
    }

    async function readRange(start: number, end: number, into?: Uint8Array): Promise<Uint8Array> {
      const length = end - start;
      if (into && into.length < length) {
        throw usageError('BUFFER_TOO_SMALL', `a buffer of ${into.length} bytes for ${length}`, path);
      }
      const target = into?.subarray(0, length) ?? new Uint8Array(length);
      await readFully(handle, path, start, target);
      return target;
    }

    return {
      path,
      fd: handle.fd,
      ...header,
      tensor,
      read(name) {
        const { start, end } = tensor(name);
        return readRange(start, end);
      },
      async readRows(name, firstRow, endRow, into) {
        const { start, end, shape } = tensor(name);
        const rows = shape[0] ?? 1;
        if (
          !(
            Number.isInteger(firstRow) &&
            Number.isInteger(endRow) &&
            0 <= firstRow &&
            firstRow <= endRow &&
            endRow <= rows
          )
        ) {
          throw usageError('ROWS_OUT_OF_RANGE', `rows ${firstRow} to ${endRow} of ${rows} in ${name}`, path);
        }
        const rowBytes = rows === 0 ? 0 : (end - start) / rows;
        if (!Number.isInteger(rowBytes)) throw usageError('ROWS_NOT_BYTES', `rows of ${name} share bytes`, path);
        return readRange(start + firstRow * rowBytes, start + endRow * rowBytes, into);
      },
      stream: (name) => readRanges([tensor(name)], (position, piece) => readFully(handle, path, position, piece)),
      close: () => handle.close(),
    };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

function usageError(code: string, what: string, where: string): ScorerError {
  return new ScorerError({ code, kind: 'usage', what, where });
}
