import { createReadStream } from 'node:fs';
import { addAbortSignal } from 'node:stream';
import { ScorerError } from '@scorer/core/errors';
import { fileError } from '@scorer/core/files';
import { parseJson } from '@scorer/core/jsonl';
import { planShards } from '@scorer/hidden-states';
import type { ManifestShard } from './manifest.js';

/** How the lines are cut: into shards of so many lines, or of about so many tokens. */
export type ShardLimit = { traces: number } | { tokens: number };

export interface PlanOptions {
  inputPath: string;
  start: number;
  end?: number | undefined;
  limit: ShardLimit;
  signal?: AbortSignal | undefined;
}

const LF = 0x0a;
const CHUNK_BYTES = 1024 ** 2;

/**
 * Cuts step records into the shards of a run. By tokens, a shard ends before the line that would take it past the
 * limit, so that shards take about the same time however long their traces are.
 * @throws ScorerError `COMPRESSED_INPUT` (usage), and the codes of `planShards`
 */
export async function planRun({ inputPath, start, end, limit, signal }: PlanOptions): Promise<ManifestShard[]> {
  if (/\.(gz|zst)$/.test(inputPath)) {
    throw new ScorerError({
      code: 'COMPRESSED_INPUT',
      kind: 'usage',
      what: 'workers read their part from the middle of the file, which compression does not allow',
      where: inputPath,
      hint: 'decompress it, or use scorer-hidden-states --shard i/n',
    });
  }
  const costs: LineCost[] = [];
  let tokens = 0;
  const { shards } = await planShards({
    inputPath,
    outputPath: 'shard',
    start,
    end,
    part: { index: 0, count: 1 },
    shardSize: 'traces' in limit ? limit.traces : Number.POSITIVE_INFINITY,
    startsShard(line) {
      const cost = costOf(line);
      costs.push(cost);
      tokens += cost.tokens;
      if ('traces' in limit || tokens <= limit.tokens) return false;
      tokens = cost.tokens;
      return true;
    },
    signal,
  });
  const lineStarts = await startsOfLines(inputPath, shards.at(-1)!.end, signal);
  return shards.map(({ start: first, end: last, records, fingerprint }) => {
    const lines = costs.slice(first - start, last - start);
    return {
      start: first,
      end: last,
      first_byte: lineStarts[first]!,
      end_byte: lineStarts[last]!,
      records,
      tokens: lines.reduce((sum, line) => sum + line.tokens, 0),
      steps: lines.reduce((sum, line) => sum + line.steps, 0),
      fingerprint,
    };
  });
}

interface LineCost {
  tokens: number;
  steps: number;
}

/** What a line costs: nothing is computed after its last step end. A line that can't be used costs nothing. */
function costOf(line: Uint8Array): LineCost {
  const text = Buffer.from(line.buffer, line.byteOffset, line.length).toString('utf8');
  try {
    const { extracted_position: positions } = parseJson(text) as { extracted_position: number[] };
    const last = positions.at(-1) ?? -1;
    return { tokens: Number.isSafeInteger(last) ? last + 1 : 0, steps: positions.length };
  } catch {
    return { tokens: 0, steps: 0 };
  }
}

/** The first byte of each line, and the byte after the last one: [lines + 1]. */
async function startsOfLines(path: string, lines: number, signal: AbortSignal | undefined): Promise<number[]> {
  const starts = [0];
  let position = 0;
  const stream = createReadStream(path, { highWaterMark: CHUNK_BYTES });
  if (signal) addAbortSignal(signal, stream);
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      for (let at = chunk.indexOf(LF); at !== -1 && starts.length <= lines; at = chunk.indexOf(LF, at + 1)) {
        starts.push(position + at + 1);
      }
      position += chunk.length;
      if (starts.length > lines) break;
    }
  } catch (error) {
    signal?.throwIfAborted();
    throw fileError(error, path);
  }
  if (starts.length <= lines) starts.push(position);
  return starts;
}
