import { rm } from 'node:fs/promises';
import { ScorerError } from '@scorer/core/errors';
import { writeFileAtomic } from '@scorer/core/files';

/** A trace that has no states in its shard, and why. */
export interface TraceFailure {
  /** 0-based line number in the step-record file. */
  trace_index: number;
  code: string;
  reason: string;
}

/** How many failed traces a run may have and still count as done: a number, or a share of its traces. */
export type FailureLimit = { count: number } | { share: number };

export const DEFAULT_MAX_FAILURES: FailureLimit = { share: 0.01 };

/** @throws ScorerError `BAD_OPTION` (usage) */
export function parseFailureLimit(text: string): FailureLimit {
  const [, number, percent] = /^(\d+(?:\.\d+)?)(%?)$/.exec(text) ?? [];
  if (number !== undefined && percent) return { share: Number(number) / 100 };
  if (number !== undefined && Number.isInteger(Number(number))) return { count: Number(number) };
  throw new ScorerError({
    code: 'BAD_OPTION',
    kind: 'usage',
    what: `"${text}" is neither a count nor a percentage`,
    where: '--max-failures',
    hint: 'give 5 or 1%',
  });
}

/**
 * The failure that an error makes of its trace. What can be mended by running again, or is a bug, is thrown on: it ends
 * the run.
 */
export function failureOf(index: number, error: unknown): TraceFailure {
  if (!(error instanceof ScorerError) || error.kind !== 'input') throw error;
  return { trace_index: index, code: error.code, reason: error.message };
}

/** Counts the failures of a run and ends it when there are too many. */
export interface FailureBudget {
  /** @throws ScorerError `TOO_MANY_FAILURES`, with the first failure's reason */
  spend(failure: TraceFailure): void;
}

export function createFailureBudget(limit: FailureLimit, traceCount: number): FailureBudget {
  const allowed = 'count' in limit ? limit.count : Math.floor(limit.share * traceCount);
  let spent = 0;
  let first: TraceFailure | undefined;
  return {
    spend(failure) {
      first ??= failure;
      spent += 1;
      if (spent <= allowed) return;
      throw new ScorerError({
        code: 'TOO_MANY_FAILURES',
        what: `${spent} of ${traceCount} traces failed, and no more than ${allowed} may`,
        where: `first at line ${first.trace_index + 1}: [${first.code}] ${first.reason}`,
        hint: 'mend the input, or raise --max-failures',
      });
    },
  };
}

/** Writes `<shard>.failures.json`, or removes one of an earlier run where nothing failed. */
export async function writeFailures(shardPath: string, failures: readonly TraceFailure[]): Promise<void> {
  const path = `${shardPath}.failures.json`;
  if (failures.length === 0) await rm(path, { force: true });
  else await writeFileAtomic(path, `${JSON.stringify(failures, null, 2)}\n`);
}
