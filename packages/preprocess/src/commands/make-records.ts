import { setFlagsFromString } from 'node:v8';
import type { CommandContext, CommandResult } from '@scorer/core/cli';
import type { z } from 'zod';
import { type PreprocessOptions, preprocessFiles } from '../preprocess-file.js';
import { writeReport } from '../report.js';
import { describeRun, totalsOf } from '../summary.js';
import type { recordOptions } from './options.js';

/**
 * V8 lets each heap grow to several times what lives in it, and several threads have as many heaps: 680 MB for two with
 * Qwen3's tokenizer, where 50 MB live in each. Collecting sooner costs a few percent of the time.
 */
const TIGHT_HEAPS = '--heap-growing-percent=40';

type RecordOptions = z.output<z.ZodObject<typeof recordOptions>>;

/** Makes step records of the input files, and tells how that went. */
export async function makeRecords(
  {
    inputFile,
    outputFile,
    systemPrompt,
    templateKwargs,
    report,
    ...options
  }: RecordOptions & Partial<Omit<PreprocessOptions, keyof RecordOptions>>,
  { signal, log, onProgress }: CommandContext,
): Promise<CommandResult> {
  if (options.workers > 1) setFlagsFromString(TIGHT_HEAPS);
  const startedAt = performance.now();
  const summary = await preprocessFiles({
    ...options,
    inputFiles: inputFile,
    outputDir: outputFile,
    systemPrompt: systemPrompt === false ? null : systemPrompt,
    templateVariables: templateKwargs,
    signal,
    onProgress,
    onWarning: log.warn,
  });
  for (const output of summary.alreadyDone) log.info(`${output} was already finished: its result is repeated`);
  const totals = totalsOf(summary.files);
  const { alreadyDone, resumed } = summary;
  if (resumed.traces > 0) log.info(`went on after ${resumed.traces} traces of an earlier run`);
  if (alreadyDone.length === 0) {
    const seconds = (performance.now() - startedAt) / 1000;
    const perSecond = (n: number): string => Math.round(n / seconds).toLocaleString('en-US');
    const [traces, tokens] = [totals.traces_in - resumed.traces, totals.tokens - resumed.tokens];
    log.info(`${seconds.toFixed(1)} s, ${perSecond(traces)} traces/s, ${perSecond(tokens)} tokens/s`);
  }
  if (report !== undefined) await writeReport(report, totals);
  return { json: totals, text: describeRun(totals, options) };
}
