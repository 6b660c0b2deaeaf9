import { setTimeout as sleep } from 'node:timers/promises';
import { type Command, parseOptions } from '@scorer/core/cli';
import { z } from 'zod';
import { type RunReport, reportRun } from '../queue/report.js';
import {
  namedRun,
  redisOptions,
  redisSchema,
  rootOptions,
  rootSchema,
  runOption,
  runSchema,
  withRedis,
} from './common.js';
import { describeReport } from './describe-report.js';

const optionsSchema = z.object({ ...redisSchema, ...rootSchema, ...runSchema, watch: z.boolean(), json: z.boolean() });

const WATCH_MS = 2_000;
/** Moves a terminal's cursor to the first cell and clears what follows. */
const CLEAR_SCREEN = '\u001b[H\u001b[J';

export const statusCommand: Command = {
  name: 'status',
  describe: 'Show how a run stands: progress, rate, time left, failures, workers',
  options: {
    ...runOption,
    watch: { type: 'boolean', default: false, describe: 'Show it again every two seconds until the run has ended' },
    ...rootOptions,
    ...redisOptions,
  },
  async run(args, { signal, log }) {
    const options = parseOptions(optionsSchema, args);
    const report = await withRedis(options, async (redis) => {
      const run = await namedRun(redis, options);
      let report = await reportRun(redis, run);
      while (options.watch && isOpen(report)) {
        log.info(`${process.stderr.isTTY ? CLEAR_SCREEN : ''}${describeReport(report)}`);
        await sleep(WATCH_MS, undefined, { signal });
        report = await reportRun(redis, run);
      }
      return report;
    });
    return { json: report, text: describeReport(report) };
  },
};

function isOpen({ state }: RunReport): boolean {
  return state === 'waiting' || state === 'running';
}
