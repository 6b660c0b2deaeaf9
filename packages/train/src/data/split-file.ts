import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { ScorerError } from '@scorer/core/errors';
import { onFile } from '@scorer/core/files';
import type { ShardDataset } from '@scorer/core/shards';
import { z } from 'zod';
import type { SplitSummary } from '../result.js';
import type { TraceSteps } from './rows.js';
import { VALIDATION } from './split.js';

/** split.json: the traces that a scorer was validated on, and was not trained on but for a split by step. */
const splitFileSchema = z.object({
  format: z.literal('scorer.split'),
  version: z.literal(1),
  kind: z.enum(['question', 'trace', 'step', 'folder']),
  /** Traces by shard, in the order of the shards' names; `trace_index` as in the shard. */
  validation: z.array(
    z.object({
      shard: z.string(),
      trace_index: z.array(z.number().int().nonnegative()),
      /** Of a split by step: for each of the traces the numbers of its validation steps, from 0. */
      steps: z.array(z.array(z.number().int().nonnegative())).optional(),
    }),
  ),
});

export type SplitFile = z.output<typeof splitFileSchema>;

/** @param sides [steps]: the side of each step; all are of validation where left out */
export function splitFile(
  kind: SplitSummary['kind'],
  { shards, stepOffsets }: ShardDataset,
  steps: TraceSteps,
  sides?: Uint8Array,
): SplitFile {
  const validation: SplitFile['validation'] = [];
  let shard = -1;
  let firstTrace = 0;
  for (const [i, trace] of steps.traces.entries()) {
    const [start, end] = [steps.offsets[i]!, steps.offsets[i + 1]!];
    const rows = steps.rows.subarray(start, end).filter((_, step) => !sides || sides[start + step] === VALIDATION);
    if (rows.length === 0) continue;
    while (shard < 0 || trace >= firstTrace + shards[shard]!.traceCount) {
      if (shard >= 0) firstTrace += shards[shard]!.traceCount;
      shard++;
    }
    const name = basename(shards[shard]!.path);
    if (validation.at(-1)?.shard !== name) {
      validation.push({ shard: name, trace_index: [], ...(kind === 'step' && { steps: [] }) });
    }
    const entry = validation.at(-1)!;
    entry.trace_index.push(shards[shard]!.traceIndex[trace - firstTrace]!);
    entry.steps?.push(Array.from(rows, (row) => row - stepOffsets[trace]!));
  }
  return { format: 'scorer.split', version: 1, kind, validation };
}

/**
 * Reads a scorer's split.json.
 * @throws ScorerError `SPLIT_INVALID`, `FILE_NOT_FOUND`
 */
export async function readSplit(path: string): Promise<SplitFile> {
  const text = await onFile(path, () => readFile(path, 'utf8'));
  try {
    return splitFileSchema.parse(JSON.parse(text));
  } catch (cause) {
    const hint = 'train again; a scorer of an older version has none';
    throw new ScorerError({ code: 'SPLIT_INVALID', what: 'it is not the split of a scorer', where: path, hint, cause });
  }
}
