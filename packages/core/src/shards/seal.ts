import { createHash } from 'node:crypto';
import { type ByteRange, createAtomicFile, type FileLock, readRanges } from '../files/index.js';
import { planSafetensors } from '../safetensors/index.js';
import type { ShardOrigin } from '../schema/index.js';
import { byTextName, type ShardShape, shardMetadata, shardTensors, TEXT_NAMES } from './layout.js';
import { type PartialShard, sectionsOf, type TraceRecord } from './partial.js';
import { NO_STEP_LABEL } from './step-labels.js';

export interface ShardSummary {
  path: string;
  traces: number;
  steps: number;
  tokens: number;
  /** Size of the file. */
  bytes: number;
  data_sha256: string;
}

export interface SealOptions {
  signal?: AbortSignal | undefined;
}

/** As long as the digest that takes its place once the data have gone by. */
const UNKNOWN_SHA256 = '0'.repeat(64);

/**
 * Writes the shard from its partial: traces by index, whatever the order in which they came, so that the same traces
 * give the same bytes. The data are read once; the header, whose length does not depend on the digest in it, is
 * written again at the end. Nothing is visible before all is on disk.
 */
export async function sealShard(
  path: string,
  partial: PartialShard,
  shape: ShardShape,
  origin: ShardOrigin,
  { signal, lock }: SealOptions & { lock: FileLock },
): Promise<ShardSummary> {
  const records = [...partial.records.values()].sort((a, b) => a.heading.traceIndex - b.heading.traceIndex);
  const headings = records.map(({ heading }) => heading);
  const sections = records.map((record) => sectionsOf(record, shape));
  const small = smallTensors(records);

  const counts = {
    traces: records.length,
    steps: sum(headings.map(({ steps }) => steps)),
    tokens: sum(headings.map(({ tokens }) => tokens)),
    textBytes: byTextName((name) => sum(headings.map(({ textBytes }) => textBytes[name]))),
    hasStepLabels: headings.some(({ hasStepLabels }) => hasStepLabels),
    confidenceTokens: sum(headings.map(({ confidenceTokens = 0 }) => confidenceTokens)),
  };
  const specs = shardTensors(shape, counts);
  const planWith = (sha256: string) => planSafetensors(specs, shardMetadata(shape, origin, sha256));
  const plan = planWith(UNKNOWN_SHA256);

  const hash = createHash('sha256');
  const file = await createAtomicFile(path);
  try {
    await file.write(plan.header);
    for (const { name } of plan.tensors) {
      const inMemory = small.get(name);
      if (inMemory) {
        hash.update(inMemory);
        await file.write(inMemory);
        continue;
      }
      const data =
        name === 'step_labels'
          ? stepLabels(records, sections, partial)
          : readRanges(
              sections.map((trace) => trace.get(name)!),
              partial.read,
            );
      for await (const bytes of data) {
        signal?.throwIfAborted();
        hash.update(bytes);
        await file.write(bytes);
      }
    }
    const sha256 = hash.digest('hex');
    await file.overwrite(0, planWith(sha256).header);
    await lock.assertHeld();
    // Who takes the lock from here on removes the file that is to be renamed.
    await file.commit().catch(async (error: unknown) => {
      await lock.assertHeld();
      throw error;
    });
    const { traces, steps, tokens } = counts;
    return { path, traces, steps, tokens, bytes: plan.fileSize, data_sha256: sha256 };
  } finally {
    await file.discard();
  }
}

/** The labels of every trace; of one without any, what stands for none. */
async function* stepLabels(
  records: readonly TraceRecord[],
  sections: readonly ReadonlyMap<string, ByteRange>[],
  { read }: PartialShard,
): AsyncGenerator<Uint8Array, void, undefined> {
  for (const [i, { heading }] of records.entries()) {
    const range = sections[i]!.get('step_labels');
    if (range) yield* readRanges([range], read);
    else yield new Uint8Array(new Float32Array(heading.steps).fill(NO_STEP_LABEL).buffer);
  }
}

/** The tensors that have one element a trace and follow from the headings. */
function smallTensors(records: readonly TraceRecord[]): Map<string, Uint8Array> {
  const headings = records.map(({ heading }) => heading);
  return new Map<string, Uint8Array>([
    ['step_offsets', offsets(headings.map(({ steps }) => steps))],
    ['input_offsets', offsets(headings.map(({ tokens }) => tokens))],
    ['confidence_offsets', offsets(headings.map(({ confidenceTokens = 0 }) => confidenceTokens))],
    ['is_correct', Uint8Array.from(headings, ({ isCorrect }) => Number(isCorrect))],
    ['trace_index', int64(headings.map(({ traceIndex }) => traceIndex))],
    ...TEXT_NAMES.map((name): [string, Uint8Array] => [
      `${name}_offsets`,
      offsets(headings.map(({ textBytes }) => textBytes[name])),
    ]),
  ]);
}

/** 0 and the running sums. */
function offsets(lengths: readonly number[]): Uint8Array {
  let end = 0;
  return int64([0, ...lengths.map((length) => (end += length))]);
}

function int64(values: readonly number[]): Uint8Array {
  return new Uint8Array(BigInt64Array.from(values, BigInt).buffer);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
