import { constants, type FileHandle, open } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { crc32 } from 'node:zlib';
import { ScorerError } from '../errors/index.js';
import { type ByteRange, onFile, readFully, syncFolder, writeFully } from '../files/index.js';
import type { ShardOrigin } from '../schema/index.js';
import { CONFIDENCE_TENSORS } from './confidence.js';
import {
  byTextName,
  layerTensor,
  type ShardShape,
  STORAGE_BYTES,
  shardMetadata,
  TEXT_NAMES,
  type TextName,
} from './layout.js';
import { hasStepLabel } from './step-labels.js';
import type { TraceStates } from './trace.js';

/**
 * The partial of a shard: a log in a hidden file beside it, one record a trace, in the order in which they were done.
 *
 *     log     = frame(identity) record*
 *     record  = frame(heading) payload
 *     frame   = u32 length of the body, u32 CRC-32 of the body, body (JSON)
 *     payload = the trace's part of each tensor, one after the other
 *
 * A record counts once it is whole and its two checksums hold. What a kill, a full disk or a power failure leaves
 * behind the last such record is cut away at the next opening; it can only be what was not yet synced.
 */
export interface PartialShard {
  /** Whole records, by trace index. */
  readonly records: ReadonlyMap<number, TraceRecord>;
  /** Adds a record, which is durable only after `sync`. */
  append(trace: TraceStates): Promise<void>;
  sync(): Promise<void>;
  /** Fills `into` with bytes of the log. */
  read(start: number, into: Uint8Array): Promise<void>;
  close(): Promise<void>;
}

export interface TraceRecord {
  readonly heading: TraceHeading;
  /** Offset of the payload in the log. */
  readonly start: number;
}

interface TraceHeading {
  readonly traceIndex: number;
  readonly isCorrect: boolean;
  readonly steps: number;
  readonly tokens: number;
  readonly textBytes: Readonly<Record<TextName, number>>;
  /** Only where a step has a label. */
  readonly hasStepLabels?: true;
  /** Only in a shard with confidence: tokens that have one. */
  readonly confidenceTokens?: number;
  /** CRC-32 of the payload. */
  readonly crc: number;
}

const FORMAT = 'scorer.hidden-states.partial';
const VERSION = 1;

const FRAME_HEAD_BYTES = 8;
/** Headings and identities take some hundred bytes; a longer frame can only be damage. */
const MAX_FRAME_BODY_BYTES = 1024 ** 2;
const CHECK_CHUNK_BYTES = 4 * 1024 ** 2;

/** `.<shard>.partial`: hidden, and no name that readers of a folder look for. */
export function partialPath(shardPath: string): string {
  return join(dirname(shardPath), `.${basename(shardPath)}.partial`);
}

/**
 * Opens the partial of a shard and gives back every record whose append was synced, or begins a new one.
 * The caller holds the shard's lock.
 * @param mismatch what to do with a partial of another shape or origin
 * @throws ScorerError `PARTIAL_MISMATCH` (usage), `DISK_FULL`, …
 */
export async function openPartial(
  shardPath: string,
  shape: ShardShape,
  origin: ShardOrigin,
  mismatch: 'refuse' | 'replace',
): Promise<PartialShard> {
  const path = partialPath(shardPath);
  const handle = await onFile(path, () => open(path, constants.O_RDWR | constants.O_CREAT));
  try {
    const identity = identityFrame(shape, origin);
    const { size } = await onFile(path, () => handle.stat());
    const found = await readFrame(handle, path, 0, size);
    const goesOn = found?.equals(identity) ?? false;
    if (found && !goesOn && mismatch === 'refuse') throw mismatchError(path);

    const records = new Map<number, TraceRecord>();
    let end = identity.length;
    if (goesOn) {
      end = await readRecords(handle, path, shape, { start: end, size, into: records });
      await onFile(path, () => handle.truncate(end));
    } else {
      await onFile(path, () => handle.truncate(0));
      await writeFully(handle, path, 0, identity);
      await onFile(path, () => handle.sync());
      await syncFolder(dirname(path));
    }

    return {
      records,
      async append(trace) {
        const payload = payloadOf(trace, shape);
        const heading = headingOf(trace, payload);
        const head = frame(heading);
        let position = end;
        for (const bytes of [head, ...payload]) {
          await writeFully(handle, path, position, bytes);
          position += bytes.length;
        }
        records.set(trace.traceIndex, { heading, start: end + head.length });
        end = position;
      },
      sync: () => onFile(path, () => handle.datasync()),
      read: (start, into) => readFully(handle, path, start, into),
      close: () => handle.close(),
    };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** Two partials with the same identity hold traces of the same shard. */
function identityFrame(shape: ShardShape, origin: ShardOrigin): Buffer {
  return frame({
    format: FORMAT,
    version: VERSION,
    storage: shape.storage,
    shard: shardMetadata(shape, origin, ''),
  });
}

/** Where each tensor's part of a trace lies in the log. */
export function sectionsOf({ heading, start }: TraceRecord, shape: ShardShape): Map<string, ByteRange> {
  const sections = new Map<string, ByteRange>();
  let position = start;
  for (const [name, bytes] of sectionBytes(heading, shape)) {
    sections.set(name, { start: position, end: position + bytes });
    position += bytes;
  }
  return sections;
}

function sectionBytes(
  { steps, tokens, textBytes, hasStepLabels, confidenceTokens }: TraceHeading,
  shape: ShardShape,
): [tensor: string, bytes: number][] {
  const layerBytes = steps * shape.hiddenSize * STORAGE_BYTES[shape.storage];
  const of4Bytes = (name: string, elements: number): [string, number] => [name, 4 * elements];
  return [
    of4Bytes('input_ids', tokens),
    of4Bytes('step_positions', steps),
    ['step_regions', steps],
    ...TEXT_NAMES.map((name): [string, number] => [name, textBytes[name]]),
    ...shape.layers.map((layer): [string, number] => [layerTensor(layer), layerBytes]),
    ...(hasStepLabels ? [of4Bytes('step_labels', steps)] : []),
    ...(confidenceTokens === undefined ? [] : CONFIDENCE_TENSORS.map((name) => of4Bytes(name, confidenceTokens))),
  ];
}

/**
 * The sections' bytes, in the order of `sectionBytes`. Empty ones are left out: zlib takes the null pointer that may
 * stand behind an empty array for a request to begin the checksum anew.
 */
function payloadOf(trace: TraceStates, { layers }: ShardShape): Uint8Array[] {
  const { stepLabels, confidence } = trace;
  const sections = [
    bytesOf(trace.inputIds),
    bytesOf(trace.stepPositions),
    trace.stepRegions,
    ...TEXT_NAMES.map((name) => Buffer.from(trace.texts[name])),
    ...layers.map((layer) => trace.hiddenStates.get(layer)!),
    ...(hasStepLabel(stepLabels) ? [bytesOf(stepLabels)] : []),
    ...(confidence ? [bytesOf(confidence.logprobs), bytesOf(confidence.confidences)] : []),
  ];
  return sections.filter(({ length }) => length > 0);
}

function headingOf(
  { traceIndex, isCorrect, stepPositions, inputIds, texts, stepLabels, confidence }: TraceStates,
  payload: Uint8Array[],
): TraceHeading {
  return {
    traceIndex,
    isCorrect,
    steps: stepPositions.length,
    tokens: inputIds.length,
    textBytes: byTextName((name) => Buffer.byteLength(texts[name])),
    ...(hasStepLabel(stepLabels) && { hasStepLabels: true }),
    ...(confidence && { confidenceTokens: confidence.logprobs.length }),
    crc: payload.reduce((crc, bytes) => crc32(bytes, crc), 0),
  };
}

/** Reads records up to the first byte that is missing or wrong; returns its offset. */
async function readRecords(
  handle: FileHandle,
  path: string,
  shape: ShardShape,
  { start, size, into }: { start: number; size: number; into: Map<number, TraceRecord> },
): Promise<number> {
  for (let position = start; ; ) {
    const head = await readFrame(handle, path, position, size);
    if (!head) return position;
    const heading = JSON.parse(head.toString('utf8', FRAME_HEAD_BYTES)) as TraceHeading;
    const record = { heading, start: position + head.length };
    const end = record.start + sectionBytes(heading, shape).reduce((sum, [, bytes]) => sum + bytes, 0);
    if (end > size || (await crcOf(handle, path, record.start, end)) !== heading.crc) return position;
    into.set(heading.traceIndex, record);
    position = end;
  }
}

function frame(value: object): Buffer {
  const body = Buffer.from(JSON.stringify(value));
  const head = Buffer.alloc(FRAME_HEAD_BYTES);
  head.writeUInt32LE(body.length, 0);
  head.writeUInt32LE(crc32(body), 4);
  return Buffer.concat([head, body]);
}

/** The frame at `position`, its head included; undefined where it is not whole. */
async function readFrame(
  handle: FileHandle,
  path: string,
  position: number,
  size: number,
): Promise<Buffer | undefined> {
  if (position + FRAME_HEAD_BYTES > size) return undefined;
  const head = Buffer.alloc(FRAME_HEAD_BYTES);
  await readFully(handle, path, position, head);
  const length = head.readUInt32LE(0);
  // A power failure can leave zeros, whose checksum would hold.
  if (length === 0 || length > MAX_FRAME_BODY_BYTES || position + FRAME_HEAD_BYTES + length > size) return undefined;
  const body = Buffer.alloc(length);
  await readFully(handle, path, position + FRAME_HEAD_BYTES, body);
  return crc32(body) === head.readUInt32LE(4) ? Buffer.concat([head, body]) : undefined;
}

async function crcOf(handle: FileHandle, path: string, start: number, end: number): Promise<number> {
  const chunk = Buffer.allocUnsafeSlow(Math.min(CHECK_CHUNK_BYTES, end - start));
  let crc = 0;
  for (let position = start; position < end; ) {
    const bytes = chunk.subarray(0, end - position);
    await readFully(handle, path, position, bytes);
    crc = crc32(bytes, crc);
    position += bytes.length;
  }
  return crc;
}

function bytesOf(array: Int32Array | Float32Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

function mismatchError(path: string): ScorerError {
  return new ScorerError({
    code: 'PARTIAL_MISMATCH',
    kind: 'usage',
    what: 'an unfinished shard of another input, model or other settings stands here',
    where: path,
    hint: "finish it with its own settings, or start over with overwrite: 'replace' (--overwrite)",
  });
}
