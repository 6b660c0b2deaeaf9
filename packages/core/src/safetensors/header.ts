import { isUtf8 } from 'node:buffer';
import { ScorerError } from '../errors/index.js';
import { type Dtype, dtypeBits, isDtype } from './dtype.js';
import { type JsonCursor, jsonCursor } from './json-cursor.js';

export interface TensorInfo {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  /** Offset in the file of its first byte, and of the one past its last. */
  readonly start: number;
  readonly end: number;
}

export interface SafetensorsHeader {
  /** In the order of their data. */
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /** `__metadata__`; its keys are the file's own, so it has no prototype. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Offset in the file of the first byte of data. */
  readonly dataStart: number;
}

/** The header's length, u64 little endian, stands before it. */
export const LENGTH_BYTES = 8;

/** The cap of the Rust library: what can be parsed without harm, and about 1,000 times the header of a large model. */
export const MAX_HEADER_BYTES = 100_000_000;

/**
 * Length in bytes of the header that `prefix` announces.
 * @param prefix the first 8 bytes of the file, or more
 * @throws ScorerError `SAFETENSORS_TOO_SHORT`, `SAFETENSORS_HEADER_TOO_LARGE`, `SAFETENSORS_HEADER_BEYOND_FILE`
 */
export function headerLength(prefix: Uint8Array, fileSize: number, where = 'safetensors header'): number {
  if (prefix.length < LENGTH_BYTES || fileSize < LENGTH_BYTES) {
    throw bad('TOO_SHORT', `${Math.min(prefix.length, fileSize)} bytes, less than the 8 of the header's length`, where);
  }
  const length = new DataView(prefix.buffer, prefix.byteOffset).getBigUint64(0, true);
  if (length > MAX_HEADER_BYTES) {
    throw bad('HEADER_TOO_LARGE', `a header of ${length} bytes is announced, ${MAX_HEADER_BYTES} are allowed`, where);
  }
  if (LENGTH_BYTES + Number(length) > fileSize) {
    throw bad('HEADER_BEYOND_FILE', `a header of ${length} bytes is announced in a file of ${fileSize}`, where);
  }
  return Number(length);
}

/**
 * Reads and validates a whole header, before any data is touched: valid UTF-8, strict JSON, no key twice, integers
 * exact, dtypes known, each tensor's bytes equal to its shape times its dtype, and all tensors side by side from the
 * first byte of data to the end of the file.
 * Source: https://huggingface.co/docs/safetensors and `Metadata::validate` of the Rust library.
 * @param bytes the file's first bytes: the header's length and the header
 * @param fileSize bytes of the whole file
 * @throws ScorerError one of the codes `SAFETENSORS_*`, see the text of each
 */
export function parseHeader(bytes: Uint8Array, fileSize: number, where = 'safetensors header'): SafetensorsHeader {
  const dataStart = LENGTH_BYTES + headerLength(bytes, fileSize, where);
  const json = bytes.subarray(LENGTH_BYTES, dataStart);
  if (!isUtf8(json)) throw bad('NOT_UTF8', 'the header is not valid UTF-8', where);
  if (json[0] !== '{'.charCodeAt(0)) throw bad('BAD_START', 'the header does not begin with "{"', where);
  const cursor = jsonCursor(Buffer.from(json.buffer, json.byteOffset, json.length).toString('utf8'), where);

  const metadata: Record<string, string> = Object.create(null);
  const tensors: TensorInfo[] = [];
  for (const name of keys(cursor, where)) {
    if (name === '__metadata__') readMetadata(cursor, metadata, where);
    else tensors.push(readTensorInfo(cursor, name, dataStart, where));
  }
  cursor.expectEnd();

  tensors.sort((a, b) => a.start - b.start || a.end - b.end);
  checkLayout(tensors, dataStart, fileSize, where);
  return { tensors: new Map(tensors.map((tensor) => [tensor.name, tensor])), metadata, dataStart };
}

/** The keys of an object; after each the caller consumes its value. */
function* keys(cursor: JsonCursor, where: string): Generator<string> {
  const seen = new Set<string>();
  cursor.expect('{');
  if (cursor.accept('}')) return;
  do {
    const key = cursor.string();
    if (key === undefined) return cursor.fail('a key');
    if (seen.has(key)) throw bad('DUPLICATE_KEY', `the key ${JSON.stringify(key)} stands twice in the header`, where);
    seen.add(key);
    cursor.expect(':');
    yield key;
  } while (cursor.accept(','));
  cursor.expect('}');
}

function readMetadata(cursor: JsonCursor, metadata: Record<string, string>, where: string): void {
  for (const key of keys(cursor, where)) {
    const value = cursor.string();
    if (value === undefined) throw bad('BAD_METADATA', `__metadata__ ${JSON.stringify(key)} is not a string`, where);
    metadata[key] = value;
  }
}

function readTensorInfo(cursor: JsonCursor, name: string, dataStart: number, file: string): TensorInfo {
  const where = `tensor ${JSON.stringify(name)} of ${file}`;
  let dtype: string | undefined;
  let shape: number[] | undefined;
  let offsets: number[] | undefined;
  for (const key of keys(cursor, where)) {
    if (key === 'dtype') dtype = cursor.string();
    else if (key === 'shape') shape = readIntegers(cursor, 'shape', where);
    else if (key === 'data_offsets') offsets = readIntegers(cursor, 'data_offsets', where);
    else throw bad('BAD_TENSOR', `unknown field ${JSON.stringify(key)}`, where);
  }
  if (dtype === undefined) throw bad('BAD_TENSOR', 'no dtype', where);
  if (shape === undefined) throw bad('BAD_TENSOR', 'no shape', where);
  if (offsets?.length !== 2) throw bad('BAD_TENSOR', 'no two data_offsets', where);
  if (!isDtype(dtype)) throw bad('UNKNOWN_DTYPE', `unknown dtype ${JSON.stringify(dtype)}`, where);

  const [start, end] = offsets as [number, number];
  if (end < start) throw bad('BAD_OFFSETS', `data_offsets [${start}, ${end}] run backwards`, where);
  const bytes = tensorBytes(dtype, shape, where);
  if (end - start !== bytes) {
    throw bad('SIZE_MISMATCH', `${dtype} [${shape}] takes ${bytes} bytes, data_offsets span ${end - start}`, where);
  }
  if (!Number.isSafeInteger(dataStart + end)) throw bad('BAD_INTEGER', 'data_offsets beyond 2^53', where);
  return { name, dtype, shape, start: dataStart + start, end: dataStart + end };
}

function readIntegers(cursor: JsonCursor, field: string, where: string): number[] {
  const integers: number[] = [];
  cursor.expect('[');
  if (cursor.accept(']')) return integers;
  do {
    const integer = cursor.integer();
    if (integer === undefined) throw bad('BAD_INTEGER', `${field} holds no integer from 0 to 2^53 - 1`, where);
    integers.push(integer);
  } while (cursor.accept(','));
  cursor.expect(']');
  return integers;
}

/**
 * Bytes of a tensor.
 * @throws ScorerError `SAFETENSORS_SHAPE_OVERFLOW` beyond 2^53 bits, `SAFETENSORS_PARTIAL_BYTE`
 */
export function tensorBytes(dtype: Dtype, shape: readonly number[], where: string): number {
  let bits = dtypeBits(dtype);
  for (const size of shape) {
    bits *= size;
    if (!Number.isSafeInteger(bits)) throw bad('SHAPE_OVERFLOW', `shape [${shape}] is beyond 2^53 bits`, where);
  }
  if (bits % 8 !== 0) throw bad('PARTIAL_BYTE', `${dtype} [${shape}] does not fill whole bytes`, where);
  return bits / 8;
}

/** Tensors, in order of their offsets, must cover the data from its first byte to the end of the file. */
function checkLayout(tensors: readonly TensorInfo[], dataStart: number, fileSize: number, file: string): void {
  let expected = dataStart;
  for (const { name, start, end } of tensors) {
    const where = `tensor ${JSON.stringify(name)} of ${file}`;
    if (start > expected) throw bad('HOLE', `${start - expected} bytes before it belong to no tensor`, where);
    if (start < expected) throw bad('OVERLAP', 'its bytes overlap those of another tensor', where);
    expected = end;
  }
  if (fileSize < expected) throw bad('TRUNCATED', `${expected - fileSize} of its ${expected} bytes are missing`, file);
  if (fileSize > expected) throw bad('TRAILING_BYTES', `${fileSize - expected} bytes after the last tensor`, file);
}

function bad(code: string, what: string, where: string): ScorerError {
  return new ScorerError({
    code: `SAFETENSORS_${code}`,
    what,
    where,
    hint: 'name a safetensors file, or make this one again',
  });
}
