import { createHash } from 'node:crypto';
import { basename } from 'node:path';
import { ScorerError } from '@scorer/core/errors';
import { readLines } from '@scorer/core/jsonl';
import { lineTokens } from './line-tokens.js';

/** Traces in a shard. */
export const DEFAULT_SHARD_SIZE = 1000;

export interface RangeOptions {
  /** Step records, one a line. */
  inputPath: string;
  outputPath: string;
  /** First line, 0-based. */
  start: number;
  /** Line after the last one; the end of the file where left out. */
  end?: number | undefined;
  /** Most lines in one shard. */
  shardSize: number;
  /** Which of `count` equal processes this is: it makes shards index, index + count, … */
  part: { index: number; count: number };
  /** What the file's first line counts as, where the file is a piece of a larger one; 0 by default. */
  firstLine?: number | undefined;
  /** Asked once for each line, in order: whether it begins another shard although the last one is not full. */
  startsShard?: ((line: Uint8Array) => boolean) | undefined;
  signal?: AbortSignal | undefined;
}

/** One shard to be made: lines [start, end) of the input. */
export interface PlannedShard {
  readonly path: string;
  readonly start: number;
  readonly end: number;
  /** SHA-256 of the lines, each with a newline. */
  readonly fingerprint: string;
  /** Lines with something on them. */
  readonly records: number;
}

export interface Plan {
  readonly shards: readonly PlannedShard[];
  /** How many tokens of a line are computed, by the number of the line; 0 where it is no step record. */
  readonly tokensOf: (line: number) => number;
  /** What the caller should tell the user. */
  readonly warnings: readonly string[];
}

/**
 * Cuts the range into shards and fingerprints the input of each, in one pass over the file.
 * @throws ScorerError `EMPTY_RANGE`, `BAD_OUTPUT_PATH` (usage), and the codes of `readLines`
 */
export async function planShards(options: RangeOptions): Promise<Plan> {
  const { inputPath, outputPath, start, shardSize, part, firstLine = 0 } = options;
  if (/[/\\]$/.test(outputPath) || basename(outputPath) === '') {
    throw new ScorerError({
      code: 'BAD_OUTPUT_PATH',
      kind: 'usage',
      what: 'the output path ends without a file name',
      where: outputPath,
      hint: 'give folder/prefix',
    });
  }
  const wishedEnd = options.end ?? Number.POSITIVE_INFINITY;
  const drafts: { start: number; end: number; hash: ReturnType<typeof createHash>; records: number }[] = [];
  const tokens: number[] = [];
  let lineCount = 0;
  for await (const { line, bytes } of readLines(inputPath, { signal: options.signal })) {
    const index = firstLine + line - 1;
    if (index >= wishedEnd) break;
    lineCount = index + 1;
    if (index < start) continue;
    const starts = options.startsShard?.(bytes) ?? false;
    if (starts || index - (drafts.at(-1)?.start ?? Number.NEGATIVE_INFINITY) >= shardSize) {
      drafts.push({ start: index, end: index, hash: createHash('sha256'), records: 0 });
    }
    const draft = drafts.at(-1)!;
    draft.end = index + 1;
    draft.hash.update(bytes).update('\n');
    if (bytes.length > 0) draft.records += 1;
    tokens[index - start] = lineTokens(bytes);
  }
  if (drafts.length === 0) {
    throw new ScorerError({
      code: 'EMPTY_RANGE',
      what:
        wishedEnd <= start
          ? `no line from ${start} to ${wishedEnd}`
          : `no line from ${start} on (the file has ${lineCount})`,
      where: inputPath,
      hint: 'check --start-idx and --end-idx',
    });
  }
  const shards = drafts.map(({ start, end, hash, records }) => ({
    path: `${outputPath}_hiddenstates_${start}_${end}.safetensors`,
    start,
    end,
    fingerprint: hash.digest('hex'),
    records,
  }));
  const clamped = options.end !== undefined && options.end > lineCount;
  return {
    shards: shards.filter((_, i) => i % part.count === part.index),
    tokensOf: (line) => tokens[line - start] ?? 0,
    warnings: clamped ? [`--end-idx ${options.end} is past the end of the file: ${lineCount} is used`] : [],
  };
}
