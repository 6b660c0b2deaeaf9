import { ScorerError } from '../errors/index.js';

/**
 * What the `zstd` command decodes unless told otherwise; its highest level asks for as much. A decoder takes this memory
 * before the first byte comes out, on the word of a header of six bytes.
 */
export const MAX_ZSTD_WINDOW_BYTES = 128 * 1024 ** 2;

const FRAME_MAGIC = 0xfd2fb528;
/** With any lowest 4 bits: a frame that decoders leave out. */
const SKIPPABLE_MAGIC = 0x184d2a50;
const RLE_BLOCK = 1;

/** Bytes of the last fields of a frame header, by their flags. */
const DICTIONARY_ID_BYTES = [0, 1, 2, 4];
const CONTENT_SIZE_BYTES = [0, 2, 4, 8];
const MAX_FIELD_BYTES = 8;

interface Wanted {
  bytes: number;
  use: 'read' | 'skip';
}

const read = (bytes: number): Wanted => ({ bytes, use: 'read' });
const skip = (bytes: number): Wanted => ({ bytes, use: 'skip' });

/**
 * Looks at the frame headers of zstd data, which come in chunks of any size, before a decoder does. It goes from block to
 * block by their lengths and decodes nothing; damage is the decoder's to tell.
 * @returns checks the next chunk
 * @throws ScorerError `ZSTD_WINDOW_TOO_LARGE`
 */
export function zstdWindowCheck(where: string): (chunk: Uint8Array) => void {
  const walk = walkFrames(where);
  const field = Buffer.alloc(MAX_FIELD_BYTES);
  let have = 0;
  let wanted = walk.next();
  return (chunk) => {
    let at = 0;
    while (!wanted.done) {
      const { bytes, use } = wanted.value;
      const taken = Math.min(bytes - have, chunk.length - at);
      if (use === 'read') field.set(chunk.subarray(at, at + taken), have);
      have += taken;
      at += taken;
      if (have < bytes) return;
      have = 0;
      wanted = walk.next(field.subarray(0, use === 'read' ? bytes : 0));
    }
  };
}

/** The format, RFC 8878 section 3.1: asks for bytes and is given them. */
function* walkFrames(where: string): Generator<Wanted, undefined, Buffer> {
  for (;;) {
    const magic = (yield read(4)).readUInt32LE();
    if ((magic & ~0xf) === SKIPPABLE_MAGIC) {
      yield skip((yield read(4)).readUInt32LE());
      continue;
    }
    if (magic !== FRAME_MAGIC) return undefined;

    const descriptor = (yield read(1)).readUInt8();
    const isSingleSegment = (descriptor & 0x20) !== 0;
    const hasChecksum = (descriptor & 0x04) !== 0;
    const windowBytes = isSingleSegment ? undefined : windowOf((yield read(1)).readUInt8());
    yield skip(DICTIONARY_ID_BYTES[descriptor & 3]!);
    const sizeBytes = CONTENT_SIZE_BYTES[descriptor >> 6] || Number(isSingleSegment);
    const contentBytes = contentSizeOf(yield read(sizeBytes));
    checkWindow(windowBytes ?? contentBytes, where);

    for (let isLast = false; !isLast; ) {
      const block = (yield read(3)).readUIntLE(0, 3);
      const type = (block >> 1) & 3;
      yield skip(type === RLE_BLOCK ? 1 : block >> 3);
      isLast = (block & 1) === 1;
    }
    if (hasChecksum) yield skip(4);
  }
}

function windowOf(descriptor: number): number {
  const base = 2 ** (10 + (descriptor >> 3));
  return base + (base / 8) * (descriptor & 7);
}

function contentSizeOf(field: Buffer): number {
  if (field.length === 8) return Number(field.readBigUInt64LE());
  if (field.length === 0) return 0;
  return field.readUIntLE(0, field.length) + (field.length === 2 ? 256 : 0);
}

function checkWindow(bytes: number, where: string): void {
  if (bytes <= MAX_ZSTD_WINDOW_BYTES) return;
  throw new ScorerError({
    code: 'ZSTD_WINDOW_TOO_LARGE',
    what: `decoding it takes ${bytes} bytes of memory, ${MAX_ZSTD_WINDOW_BYTES} are allowed`,
    where,
    hint: 'pack it again with zstd --long=27 or less',
  });
}
