import { type FileHandle, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { ScorerError } from '@scorer/core/errors';
import { lockFile, onFile, syncFolder, writeFully } from '@scorer/core/files';
import type { Outputs } from './outputs.js';
import type { BatchOutcome } from './preprocess-batch.js';

/** How far the lines of the input are done with. */
interface Position {
  line: number;
  /** SHA-256 of the lines up to this one. */
  digest: string;
}

type Facts = Pick<BatchOutcome, 'recordFacts' | 'rejectFacts'>;

/** Outputs that a later run goes on with where this one is killed. */
export interface PartialOutputs extends Outputs {
  /** What an earlier run did of the same job; undefined where there is nothing to go on with. */
  readonly finished: (Position & Facts) | undefined;
  /** Appends a batch that ends at `position`. */
  append(outcome: BatchOutcome, position: Position): Promise<void>;
}

/** What the journal begins with: partial outputs of another job are of no use. */
export interface PartialJob {
  /** SHA-256 of the input; undefined for a pipe. */
  input: string | undefined;
  settings: Readonly<Record<string, unknown>>;
}

/** One line of the journal: all that was done when it was written, synced, is in the outputs. */
interface Checkpoint extends Facts {
  position: Position;
  /** Bytes of both outputs. */
  sizes: readonly [number, number];
}

/** The work that a kill costs; often enough, and seldom enough that syncing is not felt. */
const CHECKPOINT_INTERVAL_MS = 1_000;

const JOURNAL_HEAD = { format: 'scorer.preprocess.partial', version: 1 };

/**
 * Opens the hidden files in which the rejects and the records grow, and the journal that says how far they are whole.
 * @throws ScorerError `OUTPUT_LOCKED` (retryable) where another process is at work on them
 */
export async function openPartialOutputs(
  { rejects, output }: { rejects: string; output: string },
  job: PartialJob,
): Promise<PartialOutputs> {
  const lock = await lockFile(output);
  if (!lock) {
    throw new ScorerError({
      code: 'OUTPUT_LOCKED',
      kind: 'retryable',
      what: 'another process is making this output',
      where: output,
      hint: 'wait for it, or name another output',
    });
  }
  const paths = [rejects, output] as const;
  const partials = [partialOf(rejects), partialOf(output)] as const;
  const journalPath = `${partialOf(output)}.journal`;

  const checkpoints = await readJournal(journalPath, { ...JOURNAL_HEAD, ...job }, partials);
  const last = checkpoints.at(-1);
  const sizes: [number, number] = [...(last?.sizes ?? ([0, 0] as const))];
  const files = [await openAt(partials[0], sizes[0]), await openAt(partials[1], sizes[1])] as const;
  // Written anew, so that no cut-off line stays in it.
  const journal = await onFile(journalPath, () => open(journalPath, 'w'));
  const lines = [{ ...JOURNAL_HEAD, ...job }, ...checkpoints].map((entry) => `${JSON.stringify(entry)}\n`);
  await onFile(journalPath, () => journal.appendFile(lines.join('')));

  let pending: { facts: Facts[]; position: Position | undefined } = { facts: [], position: undefined };
  let checkpointedAt = performance.now();
  let isOpen = true;

  async function append(which: 0 | 1, bytes: Uint8Array): Promise<void> {
    await writeFully(files[which], paths[which], sizes[which], bytes);
    sizes[which] += bytes.length;
  }

  async function checkpoint(): Promise<void> {
    const { facts, position } = pending;
    if (!position) return;
    await lock!.assertHeld();
    for (const [i, file] of files.entries()) await onFile(paths[i]!, () => file.sync());
    const entry: Checkpoint = { position, sizes, ...joined(facts) };
    await onFile(journalPath, () => journal.appendFile(`${JSON.stringify(entry)}\n`));
    await onFile(journalPath, () => journal.sync());
    pending = { facts: [], position: undefined };
    checkpointedAt = performance.now();
  }

  async function close(): Promise<void> {
    if (!isOpen) return;
    isOpen = false;
    for (const file of [...files, journal]) await file.close();
    await lock!.release();
  }

  return {
    sizes,
    finished: last && { ...last.position, ...joined(checkpoints) },
    async append({ records, rejects: rejected, recordFacts, rejectFacts }, position) {
      await append(0, rejected);
      await append(1, records);
      pending.facts.push({ recordFacts, rejectFacts });
      pending.position = position;
      if (performance.now() - checkpointedAt >= CHECKPOINT_INTERVAL_MS) await checkpoint();
    },
    async commit() {
      await lock!.assertHeld();
      for (const [i, file] of files.entries()) {
        await onFile(paths[i]!, () => file.sync());
        await onFile(paths[i]!, () => rename(partials[i]!, paths[i]!));
      }
      await syncFolder(dirname(output));
      await rm(journalPath, { force: true });
      await close();
    },
    async discard() {
      for (const path of [...partials, journalPath]) await rm(path, { force: true });
      await close();
    },
    async close() {
      // A clean stop loses nothing; after an error of the disk the last checkpoint stands.
      if (isOpen) await checkpoint().catch(() => {});
      await close();
    },
  };
}

/** Hidden, and in the same folder because a rename does not cross file systems. */
function partialOf(path: string): string {
  return join(dirname(path), `.${basename(path)}.partial`);
}

/** The file cut to what a checkpoint vouches for. */
async function openAt(path: string, size: number): Promise<FileHandle> {
  const file = await onFile(path, () => open(path, size > 0 ? 'r+' : 'w'));
  await onFile(path, () => file.truncate(size));
  return file;
}

/** The checkpoints of this very job, up to the last that the files still bear out. */
async function readJournal(path: string, head: object, partials: readonly [string, string]): Promise<Checkpoint[]> {
  const [first, ...entries] = (await readIfPresent(path)).split('\n').map(parseOrUndefined);
  if (!isDeepStrictEqual(first, JSON.parse(JSON.stringify(head)))) return [];
  const [rejectsSize, outputSize] = await Promise.all(partials.map(sizeOf));
  const isWhole = (entry: unknown): entry is Checkpoint => {
    const { sizes } = (entry ?? {}) as Partial<Checkpoint>;
    return sizes !== undefined && sizes[0] <= rejectsSize! && sizes[1] <= outputSize!;
  };
  const end = entries.findIndex((entry) => !isWhole(entry));
  return entries.slice(0, end === -1 ? undefined : end) as Checkpoint[];
}

async function readIfPresent(path: string): Promise<string> {
  return readFile(path, 'utf8').catch(() => '');
}

async function sizeOf(path: string): Promise<number> {
  return stat(path).then(
    ({ size }) => size,
    () => 0,
  );
}

/** A line that was being written when the machine stopped is cut off. */
function parseOrUndefined(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

function joined(facts: readonly Facts[]): Facts {
  return {
    recordFacts: facts.flatMap(({ recordFacts }) => recordFacts),
    rejectFacts: facts.flatMap(({ rejectFacts }) => rejectFacts),
  };
}
