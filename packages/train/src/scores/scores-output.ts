import { type FileHandle, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { ScorerError } from '@scorer/core/errors';
import {
  type FileLock,
  fileExists,
  lockFile,
  makeFolder,
  onFile,
  removeStaleTemporaries,
  syncFolder,
  writeFileAtomic,
  writeFully,
} from '@scorer/core/files';
import { formatJsonLine, readLines } from '@scorer/core/jsonl';
import { z } from 'zod';
import type { Overwrite } from '../overwrite.js';
import { parseOrUndefined } from '../parse-or-undefined.js';
import { type ScoredTrace, scoredTraceSchema } from './scored-trace.js';

/** All that decides the bytes of a scores file: what it is made from, and how. */
export type ScoreJob = Readonly<Record<string, unknown>>;

/** A scores file that grows under a hidden name until it is whole. */
export interface ScoresOutput<Result> {
  /** What came of an earlier run that made the file; nothing is left to do then. */
  readonly finished: Result | undefined;
  /** The traces that an earlier run wrote before it was stopped. Read them all before the first `append`. */
  earlierTraces(): AsyncGenerator<ScoredTrace, void, undefined>;
  append(traces: readonly ScoredTrace[]): Promise<void>;
  /** Makes the file durable and gives it its name. */
  commit(result: Result): Promise<void>;
  /** Removes what was written. */
  discard(): Promise<void>;
  /** What was neither committed nor discarded stays, for the same job to go on with. */
  close(): Promise<void>;
}

/**
 * The hidden record beside the file: what is being made, and when it is whole what came of it. It stands before the
 * file does, so a file without one is someone else's.
 */
const recordSchema = z.object({
  format: z.literal('scorer.scores'),
  version: z.literal(1),
  job: z.record(z.string(), z.unknown()),
  /** Bytes of the whole file. */
  size: z.number().optional(),
  result: z.unknown().optional(),
});

type JobRecord = z.output<typeof recordSchema>;

/**
 * Opens a scores file for a job.
 * @param overwrite `replace` makes it anew where one stands
 * @throws ScorerError `OUTPUT_LOCKED` (retryable), `OUTPUT_EXISTS` where a file stands that this job did not make
 */
export async function openScoresOutput<Result>(
  path: string,
  { job: given, resultSchema, overwrite }: { job: ScoreJob; resultSchema: z.ZodType<Result>; overwrite: Overwrite },
): Promise<ScoresOutput<Result>> {
  const job = JSON.parse(JSON.stringify(given)) as ScoreJob;
  const [recordPath, partial] = ['score.json', 'partial'].map((end) =>
    join(dirname(path), `.${basename(path)}.${end}`),
  );
  const writeRecord = (outcome: Partial<JobRecord>): Promise<void> =>
    writeFileAtomic(
      recordPath!,
      `${JSON.stringify({ format: 'scorer.scores', version: 1, job, ...outcome }, null, 1)}\n`,
    );

  await makeFolder(dirname(path));
  const lock = await takeLock(path);
  let file: FileHandle | undefined;
  let end = 0;
  try {
    await removeStaleTemporaries(dirname(path));
    const record = await readRecord(recordPath!);
    const finished = overwrite === 'replace' ? undefined : await finishedResult(path, { record, job, resultSchema });
    if (finished === undefined) {
      const isOurs = record !== undefined && differingPart(record.job, job) === undefined;
      if (!isOurs) await rm(partial!, { force: true });
      await writeRecord({});
      file = await openOrCreate(partial!);
    }
    return {
      finished,
      async *earlierTraces() {
        const { size } = await file!.stat();
        for await (const { bytes } of readLines(partial!)) {
          const trace = readTrace(bytes);
          // The last line may be cut off, and what a power failure leaves at the end may be anything.
          if (!trace || end + bytes.length + 1 > size) return;
          end += bytes.length + 1;
          yield trace;
        }
      },
      async append(traces) {
        const lines = Buffer.from(traces.map((trace) => `${formatJsonLine(trace)}\n`).join(''));
        await writeFully(file!, path, end, lines);
        end += lines.length;
      },
      async commit(result) {
        await lock.assertHeld();
        await onFile(path, () => file!.truncate(end));
        await onFile(path, () => file!.sync());
        await writeRecord({ size: end, result });
        await onFile(path, () => rename(partial!, path));
        await syncFolder(dirname(path));
      },
      async discard() {
        for (const left of [partial!, recordPath!]) await rm(left, { force: true });
      },
      async close() {
        await file?.close();
        await lock.release();
      },
    };
  } catch (error) {
    await file?.close();
    await lock.release();
    throw error;
  }
}

async function takeLock(path: string): Promise<FileLock> {
  const lock = await lockFile(path);
  if (lock) return lock;
  throw new ScorerError({
    code: 'OUTPUT_LOCKED',
    kind: 'retryable',
    what: 'another process is making this output',
    where: path,
    hint: 'wait for it, or name another output',
  });
}

/** What came of the run that made the file; undefined where there is none. */
async function finishedResult<Result>(
  path: string,
  { record, job, resultSchema }: { record: JobRecord | undefined; job: ScoreJob; resultSchema: z.ZodType<Result> },
): Promise<Result | undefined> {
  if (!(await fileExists(path))) return undefined;
  const result = resultSchema.safeParse(record?.result);
  if (!record || !result.success) throw outputExists(path, 'it was not made by this command');
  const other = differingPart(record.job, job);
  if (other !== undefined) throw outputExists(path, `it was made with other input or settings (${other})`);
  if ((await stat(path)).size !== record.size) throw outputExists(path, 'it was changed after it was made');
  return result.data;
}

function differingPart(a: ScoreJob, b: ScoreJob): string | undefined {
  return [...new Set([...Object.keys(a), ...Object.keys(b)])].find((name) => !isDeepStrictEqual(a[name], b[name]));
}

function outputExists(path: string, why: string): ScorerError {
  return new ScorerError({
    code: 'OUTPUT_EXISTS',
    what: `the output exists and ${why}`,
    where: path,
    hint: 'name another output, or give --overwrite',
  });
}

async function openOrCreate(path: string): Promise<FileHandle> {
  const exists = await fileExists(path);
  return onFile(path, () => open(path, exists ? 'r+' : 'w'));
}

/** Missing or damaged: either way nothing vouches for the output. */
async function readRecord(path: string): Promise<JobRecord | undefined> {
  const text = await readFile(path, 'utf8').catch(() => '');
  return recordSchema.safeParse(parseOrUndefined(text)).data;
}

function readTrace(bytes: Uint8Array): ScoredTrace | undefined {
  return scoredTraceSchema.safeParse(parseOrUndefined(Buffer.from(bytes).toString())).data;
}
