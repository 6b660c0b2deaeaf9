import type { FileHandle } from 'node:fs/promises';
import { promisify } from 'node:util';
import { crc32, inflateRaw } from 'node:zlib';
import { readFully, readRanges } from '../files/index.js';
import { torchError } from './errors.js';

/** A file inside a zip archive. Source: APPNOTE.TXT 6.3.10 of PKWARE. */
export interface ZipEntry {
  readonly name: string;
  readonly method: 'stored' | 'deflated';
  readonly crc: number;
  /** Bytes in the archive, and of the content. */
  readonly packedSize: number;
  readonly size: number;
  /** Offset in the archive of the entry's own header. */
  readonly headerStart: number;
}

/** The index of a thousand traces takes 200 kB; this is enough for every file that torch can have written, and little memory. */
const MAX_INDEX_BYTES = 64 * 1024 ** 2;

/** torch stores; what another tool deflated is held in memory whole. */
const MAX_INFLATED_BYTES = 256 * 1024 ** 2;

const END_BYTES = 22;
const MAX_COMMENT_BYTES = 0xffff;
const END_SIGNATURE = 0x06054b50;
const LOCATOR64_BYTES = 20;
const LOCATOR64_SIGNATURE = 0x07064b50;
const END64_BYTES = 56;
const END64_SIGNATURE = 0x06064b50;
const INDEX_ENTRY_BYTES = 46;
const INDEX_SIGNATURE = 0x02014b50;
const LOCAL_HEADER_BYTES = 30;
const LOCAL_SIGNATURE = 0x04034b50;
const EXTRA_ZIP64 = 0x0001;
const FLAG_ENCRYPTED = 0x0001;
const METHODS: Readonly<Record<number, ZipEntry['method']>> = { 0: 'stored', 8: 'deflated' };

/** In place of a field that stands in the zip64 record. */
const IN_ZIP64_32 = 0xffffffff;
const IN_ZIP64_16 = 0xffff;

/**
 * The entries of an archive, by name, from the index at its end; no content is read.
 * @throws ScorerError `TORCH_ZIP_INVALID`, `TORCH_ZIP_UNSUPPORTED`, `TORCH_LIMIT`
 */
export async function readZipIndex(handle: FileHandle, path: string, fileSize: number): Promise<Map<string, ZipEntry>> {
  const { count, start, size } = await findIndex(handle, path, fileSize);
  if (size > MAX_INDEX_BYTES) {
    throw torchError('TORCH_LIMIT', `the zip index has ${size} bytes, ${MAX_INDEX_BYTES} are read`, path);
  }
  if (start + size > fileSize) throw invalid('the zip index lies outside the file', path);
  const index = Buffer.alloc(size);
  await readFully(handle, path, start, index);

  const entries = new Map<string, ZipEntry>();
  let position = 0;
  for (let i = 0; i < count; i++) {
    const { entry, end } = readIndexEntry(index, position, path);
    if (entries.has(entry.name)) throw invalid(`the entry ${JSON.stringify(entry.name)} stands twice`, path);
    if (entry.headerStart + LOCAL_HEADER_BYTES + entry.packedSize > start) {
      throw invalid(`the entry ${JSON.stringify(entry.name)} lies outside the data`, path);
    }
    entries.set(entry.name, entry);
    position = end;
  }
  checkOverlaps([...entries.values()], path);
  return entries;
}

/** An entry whose content can be read, in part too. */
export interface ZipContent {
  readonly size: number;
  /** Fills `into` with the content's bytes from `position` on. */
  read(position: number, into: Uint8Array): Promise<void>;
}

/**
 * Finds an entry's content and reads all of it once, for its checksum.
 * @throws ScorerError `TORCH_ZIP_INVALID`, `TORCH_CHECKSUM`, `TORCH_LIMIT`
 */
export async function openZipEntry(handle: FileHandle, path: string, entry: ZipEntry): Promise<ZipContent> {
  const start = await contentStart(handle, path, entry);
  if (entry.method === 'deflated') {
    const content = await inflate(handle, path, entry, start);
    checkCrc(crc32(content), entry, path);
    return {
      size: content.length,
      async read(position, into) {
        into.set(content.subarray(position, position + into.length));
      },
    };
  }
  const read = (position: number, into: Uint8Array): Promise<void> => readFully(handle, path, position, into);
  let crc = 0;
  for await (const piece of readRanges([{ start, end: start + entry.size }], read)) crc = crc32(piece, crc);
  checkCrc(crc, entry, path);
  return { size: entry.size, read: (position, into) => read(start + position, into) };
}

async function findIndex(
  handle: FileHandle,
  path: string,
  fileSize: number,
): Promise<{ count: number; start: number; size: number }> {
  const tail = Buffer.alloc(Math.min(fileSize, LOCATOR64_BYTES + END_BYTES + MAX_COMMENT_BYTES));
  const tailStart = fileSize - tail.length;
  await readFully(handle, path, tailStart, tail);

  let at = tail.length - END_BYTES;
  while (at >= 0 && !(tail.readUInt32LE(at) === END_SIGNATURE && endsHere(tail, at))) at -= 1;
  if (at < 0) throw invalid('it has no zip index at its end: it was cut, or is no zip archive', path);
  const [disk, indexDisk] = [tail.readUInt16LE(at + 4), tail.readUInt16LE(at + 6)];
  const end = {
    count: tail.readUInt16LE(at + 10),
    size: tail.readUInt32LE(at + 12),
    start: tail.readUInt32LE(at + 16),
  };
  const isZip64 = end.count === IN_ZIP64_16 || end.size === IN_ZIP64_32 || end.start === IN_ZIP64_32;
  if (!isZip64) {
    if (disk !== 0 || indexDisk !== 0) throw unsupported('an archive in several parts', path);
    return end;
  }

  const locator = at - LOCATOR64_BYTES;
  if (locator < 0 || tail.readUInt32LE(locator) !== LOCATOR64_SIGNATURE) throw invalid('no zip64 locator', path);
  const position = integer(tail.readBigUInt64LE(locator + 8), path);
  if (position + END64_BYTES > fileSize) throw invalid('the zip64 record lies outside the file', path);
  const end64 = Buffer.alloc(END64_BYTES);
  await readFully(handle, path, position, end64);
  if (end64.readUInt32LE(0) !== END64_SIGNATURE) throw invalid('no zip64 record where one should be', path);
  const [count, size, start] = [32, 40, 48].map((offset) => integer(end64.readBigUInt64LE(offset), path));
  return { count: count!, size: size!, start: start! };
}

/** The comment behind the record must end with the file, or its signature stood inside something else. */
function endsHere(tail: Buffer, at: number): boolean {
  return at + END_BYTES + tail.readUInt16LE(at + 20) === tail.length;
}

function readIndexEntry(index: Buffer, at: number, path: string): { entry: ZipEntry; end: number } {
  if (at + INDEX_ENTRY_BYTES > index.length || index.readUInt32LE(at) !== INDEX_SIGNATURE) {
    throw invalid('its zip index is damaged', path);
  }
  const [nameLength, extraLength, commentLength] = [28, 30, 32].map((offset) => index.readUInt16LE(at + offset));
  const nameStart = at + INDEX_ENTRY_BYTES;
  const extraStart = nameStart + nameLength!;
  const end = extraStart + extraLength! + commentLength!;
  if (end > index.length) throw invalid('its zip index is damaged', path);

  const name = index.toString('utf8', nameStart, extraStart);
  const where = `entry ${JSON.stringify(name)} of ${path}`;
  if (index.readUInt16LE(at + 8) & FLAG_ENCRYPTED) throw unsupported('an encrypted entry', where);
  const method = METHODS[index.readUInt16LE(at + 10)];
  if (!method) throw unsupported(`compression method ${index.readUInt16LE(at + 10)}`, where);

  const zip64 = zip64Fields(index.subarray(extraStart, extraStart + extraLength!), where);
  const field = (offset: number): number => {
    const value = index.readUInt32LE(at + offset);
    return value === IN_ZIP64_32 ? zip64() : value;
  };
  // In this order they stand in the zip64 record too.
  const [size, packedSize, headerStart] = [field(24), field(20), field(42)];
  if (method === 'stored' && size !== packedSize) throw invalid('a stored entry of two sizes', where);
  return { entry: { name, method, crc: index.readUInt32LE(at + 16), packedSize, size, headerStart }, end };
}

/** Gives the 64-bit fields of an entry one after the other. */
function zip64Fields(extra: Buffer, where: string): () => number {
  let at = 0;
  while (at + 4 <= extra.length && extra.readUInt16LE(at) !== EXTRA_ZIP64) at += 4 + extra.readUInt16LE(at + 2);
  let next = at + 4;
  const end = at + 4 <= extra.length ? Math.min(next + extra.readUInt16LE(at + 2), extra.length) : 0;
  return () => {
    if (next + 8 > end) throw invalid('a zip64 size is missing', where);
    next += 8;
    return integer(extra.readBigUInt64LE(next - 8), where);
  };
}

/** Entries that share bytes make a small file that unpacks to a large one. */
function checkOverlaps(entries: readonly ZipEntry[], path: string): void {
  let end = 0;
  for (const { name, headerStart, packedSize } of entries.toSorted((a, b) => a.headerStart - b.headerStart)) {
    if (headerStart < end) throw invalid(`the entry ${JSON.stringify(name)} overlaps another`, path);
    end = headerStart + LOCAL_HEADER_BYTES + packedSize;
  }
}

async function contentStart(handle: FileHandle, path: string, entry: ZipEntry): Promise<number> {
  const header = Buffer.alloc(LOCAL_HEADER_BYTES);
  await readFully(handle, path, entry.headerStart, header);
  if (header.readUInt32LE(0) !== LOCAL_SIGNATURE) throw invalid('no header where the index says', where(entry, path));
  const [nameLength, extraLength] = [header.readUInt16LE(26), header.readUInt16LE(28)];
  const name = Buffer.alloc(nameLength);
  await readFully(handle, path, entry.headerStart + LOCAL_HEADER_BYTES, name);
  if (name.toString('utf8') !== entry.name) throw invalid('its header has another name', where(entry, path));
  return entry.headerStart + LOCAL_HEADER_BYTES + nameLength + extraLength;
}

async function inflate(handle: FileHandle, path: string, entry: ZipEntry, start: number): Promise<Buffer> {
  if (Math.max(entry.size, entry.packedSize) > MAX_INFLATED_BYTES) {
    const what = `an entry of ${entry.size} bytes is deflated, ${MAX_INFLATED_BYTES} are unpacked`;
    throw torchError('TORCH_LIMIT', what, where(entry, path));
  }
  const packed = Buffer.alloc(entry.packedSize);
  await readFully(handle, path, start, packed);
  const content = await promisify(inflateRaw)(packed, { maxOutputLength: Math.max(entry.size, 1) }).catch(
    () => undefined,
  );
  if (content?.length !== entry.size) throw invalid('it does not unpack to the size announced', where(entry, path));
  return content;
}

function checkCrc(crc: number, entry: ZipEntry, path: string): void {
  if (crc === entry.crc) return;
  throw torchError('TORCH_CHECKSUM', 'the bytes do not match their checksum', where(entry, path), 'copy it again');
}

function where({ name }: ZipEntry, path: string): string {
  return `entry ${JSON.stringify(name)} of ${path}`;
}

function integer(value: bigint, where: string): number {
  if (value <= Number.MAX_SAFE_INTEGER) return Number(value);
  throw invalid(`a size of ${value} bytes`, where);
}

function invalid(what: string, where: string): Error {
  return torchError('TORCH_ZIP_INVALID', what, where, 'copy or make the file again');
}

function unsupported(what: string, where: string): Error {
  return torchError('TORCH_ZIP_UNSUPPORTED', what, where);
}
