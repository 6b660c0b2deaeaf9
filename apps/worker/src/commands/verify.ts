import { type Command, parseOptions } from '@scorer/core/cli';
import { ScorerError } from '@scorer/core/errors';
import { type FailureLimit, parseFailureLimit } from '@scorer/hidden-states';
import { z } from 'zod';
import { readRun, runFileOf } from '../run/manifest.js';
import { type VerifyReport, verifyRun } from '../run/verify.js';

const optionsSchema = z.object({ outputPath: z.string().min(1), maxFailures: z.string() });

export const verifyCommand: Command = {
  name: 'verify',
  describe: 'Check that every shard of a run is there and whole; asks the files alone, without Redis',
  options: {
    'output-path': { type: 'string', demandOption: true, describe: 'As given to submit' },
    'max-failures': { type: 'string', default: '1%', describe: 'Failed traces allowed, a count or a percentage' },
  },
  async run(args, { signal, log, onProgress }) {
    const options = parseOptions(optionsSchema, args);
    const limit = parseFailureLimit(options.maxFailures);
    const report = await verifyRun(await readRun(runFileOf(options.outputPath)), { signal, onProgress });
    for (const { file, code, reason } of report.problems) log.warn(`${file}: [${code}] ${reason}`);
    check(report, limit, options.outputPath);
    const { run, shards, traces, steps, failed_traces } = report;
    const text = `run ${run}: ${shards} shards are whole: ${traces} traces, ${steps} steps, ${failed_traces} failed traces`;
    return { json: report, text };
  },
};

/** @throws ScorerError `RUN_INCOMPLETE`, `TOO_MANY_FAILURES` */
function check(
  { shards, whole, traces, failed_traces, problems }: VerifyReport,
  limit: FailureLimit,
  where: string,
): void {
  if (problems.length > 0) {
    const first = problems[0]!;
    throw new ScorerError({
      code: 'RUN_INCOMPLETE',
      what: `${whole} of ${shards} shards are whole, ${problems.length} problems, the first: ${first.file}: ${first.reason}`,
      where,
      hint: 'remove what is broken, then scorer-worker retry',
    });
  }
  const allowed = 'count' in limit ? limit.count : Math.floor(limit.share * (traces + failed_traces));
  if (failed_traces <= allowed) return;
  throw new ScorerError({
    code: 'TOO_MANY_FAILURES',
    what: `${failed_traces} of ${traces + failed_traces} traces failed, and no more than ${allowed} may`,
    where,
    hint: 'see the .failures.json files, or raise --max-failures',
  });
}
