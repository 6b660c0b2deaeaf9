import { readdir } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import type { OnProgress } from '@scorer/core/cli';
import { ScorerError } from '@scorer/core/errors';
import { fileExists, onFile } from '@scorer/core/files';
import { verifyShard } from '@scorer/core/shards';
import { type Run, shardPath } from './manifest.js';
import { inspectShard } from './shard-file.js';

export interface VerifyReport {
  run: string;
  shards: number;
  /** Whole, and of this run's input, model and settings. */
  whole: number;
  traces: number;
  steps: number;
  /** Traces that have no states, as the `.failures.json` beside their shards say. */
  failed_traces: number;
  problems: { file: string; code: string; reason: string }[];
}

export interface VerifyOptions {
  signal?: AbortSignal | undefined;
  onProgress?: OnProgress | undefined;
}

/**
 * Reads every shard of a run from its first byte to its last, and looks for shards that are none of its own. It asks
 * the files alone: no queue, no Redis.
 */
export async function verifyRun(run: Run, { signal, onProgress }: VerifyOptions = {}): Promise<VerifyReport> {
  const { manifest } = run;
  const report: VerifyReport = {
    run: run.id,
    shards: manifest.shards.length,
    whole: 0,
    traces: 0,
    steps: 0,
    failed_traces: 0,
    problems: [],
  };
  for (const [i, shard] of manifest.shards.entries()) {
    signal?.throwIfAborted();
    const path = shardPath(run, shard);
    const problem = (code: string, reason: string) => report.problems.push({ file: basename(path), code, reason });
    try {
      const file = await inspectShard(run, shard);
      if (file.state === 'missing') problem('SHARD_MISSING', 'the shard was not made');
      if (file.state === 'different') problem('SHARD_DIFFERS', file.difference);
      if (file.state === 'done') {
        await verifyShard(path, { signal });
        const failed = shard.records - file.traces;
        if (failed > 0 && !(await fileExists(`${path}.failures.json`))) {
          problem('FAILURES_MISSING', `${failed} traces are neither in the shard nor in its .failures.json`);
        }
        report.whole += 1;
        report.traces += file.traces;
        report.steps += file.steps;
        report.failed_traces += failed;
      }
    } catch (error) {
      if (!(error instanceof ScorerError && error.kind === 'input')) throw error;
      problem(error.code, error.message);
    }
    onProgress?.({ stage: 'verifying', done: i + 1, total: manifest.shards.length, unit: 'shards' });
  }
  for (const file of await strangers(run)) {
    report.problems.push({
      file,
      code: 'SHARD_UNEXPECTED',
      reason: 'it has the name of a shard, and is none of the run',
    });
  }
  return report;
}

/** Files that carry the run's name and other lines: a folder with them would hold traces twice. */
async function strangers(run: Run): Promise<string[]> {
  const own = new Set(run.manifest.shards.map((shard) => basename(shardPath(run, shard))));
  const prefix = `${basename(run.output)}_hiddenstates_`;
  const names = await onFile(dirname(run.output), () => readdir(dirname(run.output)));
  return names.filter((name) => name.startsWith(prefix) && name.endsWith('.safetensors') && !own.has(name)).sort();
}
