import { createHash } from 'node:crypto';
import { ScorerError } from '../errors/index.js';
import { openSafetensors, type SafetensorsFile } from '../safetensors/index.js';
import { SHARD_FORMAT, type Storage } from '../schema/index.js';
import { layerTensor, STORAGE_BYTES, TEXT_NAMES } from './layout.js';
import { openShard, type Shard } from './reader.js';

export interface VerifyOptions {
  signal?: AbortSignal | undefined;
  /** Called after every few megabytes. */
  onProgress?: ((progress: { stage: string; done: number; total: number; unit: string }) => void) | undefined;
}

/** A file that was found whole. */
export interface Verified {
  path: string;
  kind: 'shard' | 'safetensors';
  tensors: number;
  /** Size of the file. */
  bytes: number;
}

/**
 * Checks any safetensors file: by the format's rules, and a shard of hidden states by its own as well.
 * @throws ScorerError the codes of `openSafetensors` and `verifyShard`
 */
export async function verifySafetensors(path: string, options: VerifyOptions = {}): Promise<Verified> {
  const file = await openSafetensors(path);
  await file.close();
  if (file.metadata.format === SHARD_FORMAT) return verifyShard(path, options);
  return { path, kind: 'safetensors', tensors: file.tensors.size, bytes: endOf(file) };
}

/**
 * Reads a whole shard and checks all that can be checked: the contract (as `openShard`), the checksum of its data, that
 * every hidden state is finite, that steps end inside their traces, regions, step labels, token confidences, and that
 * texts are UTF-8.
 * @throws ScorerError the codes of `openShard`; `SHARD_CHECKSUM`, `SHARD_NOT_FINITE`, `SHARD_POSITION_INVALID`,
 * `SHARD_REGION_INVALID`, `SHARD_STEP_LABEL_INVALID`, `SHARD_CONFIDENCE_INVALID`, `SHARD_TEXT_INVALID`
 */
export async function verifyShard(path: string, options: VerifyOptions = {}): Promise<Verified> {
  const file = await openSafetensors(path);
  const shard = await openShard(path).catch(async (error: unknown) => {
    await file.close();
    throw error;
  });
  try {
    await checkData(file, shard, options);
    await checkSteps(shard);
    await shard.stepLabels();
    for (let i = 0; i < shard.traceCount; i++) await shard.confidence(i);
    for (const name of TEXT_NAMES) {
      for (let i = 0; i < shard.traceCount; i++) await shard.text(name, i, i + 1);
    }
    return { path, kind: 'shard', tensors: file.tensors.size, bytes: endOf(file) };
  } finally {
    await file.close();
    await shard.close();
  }
}

/** One pass over all bytes, in the order of the file, for the checksum and for hidden states that are not finite. */
async function checkData(file: SafetensorsFile, shard: Shard, { signal, onProgress }: VerifyOptions): Promise<void> {
  const { path, dataStart } = file;
  const total = endOf(file) - dataStart;
  const layerNames = new Set(shard.layers.map(layerTensor));
  const hash = createHash('sha256');
  let done = 0;
  let notFinite: ScorerError | undefined;

  for (const { name } of file.tensors.values()) {
    let elements = 0;
    for await (const bytes of file.stream(name)) {
      signal?.throwIfAborted();
      hash.update(bytes);
      done += bytes.length;
      onProgress?.({ stage: `verifying ${path}`, done: toMegabytes(done), total: toMegabytes(total), unit: 'MB' });
      if (notFinite || !layerNames.has(name)) continue;
      const element = firstNonFinite(bytes, shard.storage);
      if (element !== -1) {
        const what = `${name} is not finite in row ${Math.floor((elements + element) / shard.hiddenSize)}`;
        notFinite = new ScorerError({ code: 'SHARD_NOT_FINITE', what, where: path, hint: 'make the shard again' });
      }
      elements += bytes.length / STORAGE_BYTES[shard.storage];
    }
  }

  // A flipped bit is told as such, also where it makes an infinity.
  if (hash.digest('hex') !== shard.metadata.data_sha256) {
    const what = 'the data do not match their checksum';
    throw new ScorerError({ code: 'SHARD_CHECKSUM', what, where: path, hint: 'copy or make the shard again' });
  }
  if (notFinite) throw notFinite;
}

function toMegabytes(bytes: number): number {
  return Math.ceil(bytes / 1e6);
}

/** In each format an exponent of all ones stands for infinities and NaN. */
const EXPONENT: Record<Storage, number> = { F16: 0x7c00, BF16: 0x7f80, F32: 0x7f800000 };

/** Index of the first element that is an infinity or NaN, -1 where there is none. */
function firstNonFinite(bytes: Uint8Array, storage: Storage): number {
  const exponent = EXPONENT[storage];
  const bits =
    storage === 'F32'
      ? new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4)
      : new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2);
  for (let i = 0; i < bits.length; i++) if ((bits[i]! & exponent) === exponent) return i;
  return -1;
}

async function checkSteps(shard: Shard): Promise<void> {
  const { path, stepOffsets, tokenCounts, traceIndex } = shard;
  const positions = await shard.stepPositions();
  const regions = await shard.stepRegions();
  const fail = (part: string, what: string, trace: number): never => {
    const where = `trace ${traceIndex[trace]} of ${path}`;
    throw new ScorerError({ code: `SHARD_${part}_INVALID`, what, where, hint: 'make the shard again' });
  };
  for (let trace = 0; trace < shard.traceCount; trace++) {
    let previous = -1;
    for (let step = stepOffsets[trace]!; step < stepOffsets[trace + 1]!; step++) {
      const position = positions[step]!;
      if (position <= previous) fail('POSITION', 'its step positions do not ascend', trace);
      if (position >= tokenCounts[trace]!) fail('POSITION', 'a step ends after its last token', trace);
      if (regions[step]! > 1) fail('REGION', `the region of step ${step} is ${regions[step]}, not 0 or 1`, trace);
      previous = position;
    }
  }
}

function endOf({ tensors, dataStart }: SafetensorsFile): number {
  return [...tensors.values()].at(-1)?.end ?? dataStart;
}
