import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { type OnProgress, parseOptions } from '@scorer/core/cli';
import { ScorerError } from '@scorer/core/errors';
import { fileExists, onFile, writeFileAtomic } from '@scorer/core/files';
import { z } from 'zod';
import { type Evaluation, evaluate } from '../evaluate/evaluate.js';
import { overwriteSchema, refuseInput } from '../overwrite.js';
import { readPlotlySource } from '../plots/png.js';
import { loadScoreTable, type ScoreTable } from '../scores/score-table.js';
import { type Simulation, simulateSettingsSchema, simulateTable } from '../simulate/simulate.js';
import { readCheckpointOrigin } from './checkpoint-origin.js';
import { gatherTraces } from './gather-traces.js';
import { renderScoresPage } from './scores-page.js';
import { readViewerScript } from './viewer-script.js';

/** Options of `report`, named as the flags of the command. */
export const reportOptionsSchema = simulateSettingsSchema
  .pick({ maxLoss: true, vote: true, seed: true, resamples: true })
  .extend({
    /** scores.jsonl; a file, since it is read twice. */
    scores: z
      .string()
      .min(1)
      .refine((path) => path !== '-', 'the scores are read twice, so they must be a file'),
    /** The page, HTML. */
    outputFile: z.string().min(1),
    /** Folder of the shards that were scored: the texts of the traces come from there. */
    inputDir: z.string().min(1).optional(),
    /** Folder of the scorer's checkpoint: name, what it reads and which traces it was validated on. */
    checkpoint: z.string().min(1).optional(),
    /** Most traces that the page shows one by one; the figures are of all. */
    maxTraces: z.number().int().positive().default(2000),
    /** `replace` writes the page also where another file stands. */
    overwrite: overwriteSchema,
  });

export interface ReportHooks {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: OnProgress | undefined;
}

export interface Report {
  readonly outputFile: string;
  readonly evaluation: Evaluation;
  /** Undefined with a single question. */
  readonly simulation: Simulation | undefined;
  /** Traces that the page shows one by one. */
  readonly shownTraces: number;
  /** The same page stood there already. */
  readonly repeated: boolean;
}

/**
 * Writes one page that needs nothing else and loads nothing: votes, early stopping, ranks and calibration of scored
 * traces, and the traces themselves with their steps coloured by score. Equal input gives equal bytes.
 * @throws ScorerError `BAD_OPTION` (usage), `OUTPUT_EXISTS`, `OUTPUT_IS_INPUT` (usage), `SCORES_OF_OTHER_SHARDS`, `SCORER_CONFIG_INVALID`,
 * `SPLIT_INVALID`, the codes of `loadScoreTable` and of `openShard`
 */
export async function report(options: z.input<typeof reportOptionsSchema> & ReportHooks): Promise<Report> {
  const table = await loadScoreTable(parseOptions(reportOptionsSchema, options).scores, options);
  return reportOn(table, await evaluate(table, options), options);
}

/** As `report`, where the scores are loaded and evaluated already. */
export async function reportOn(
  table: ScoreTable,
  evaluation: Evaluation,
  { signal, onProgress, ...given }: z.input<typeof reportOptionsSchema> & ReportHooks,
): Promise<Report> {
  const { scores, outputFile, inputDir, checkpoint, maxTraces, overwrite, ...settings } = parseOptions(
    reportOptionsSchema,
    given,
  );
  await refuseInput(outputFile, [scores]);
  const simulation = await simulateIfPossible(table, { ...settings, signal, onProgress });
  const origin = checkpoint === undefined ? undefined : await readCheckpointOrigin(checkpoint);
  const traces = await gatherTraces(scores, table, { inputDir, maxTraces, seed: settings.seed, origin, signal });
  const page = renderScoresPage({
    heading: origin?.name ?? basename(scores).replace(/\.jsonl(\.gz|\.zst)?$/, ''),
    origin: origin?.summary,
    evaluation,
    simulation,
    traces,
    plotlySource: await readPlotlySource(),
    viewerScript: await readViewerScript(),
  });
  const repeated = await stands(outputFile, page);
  if (!repeated && overwrite === 'refuse' && (await fileExists(outputFile))) throw outputExists(outputFile);
  if (!repeated) await writeFileAtomic(outputFile, page);
  return { outputFile, evaluation, simulation, shownTraces: traces.traceCount, repeated };
}

async function stands(path: string, page: string): Promise<boolean> {
  return (await fileExists(path)) && (await onFile(path, () => readFile(path, 'utf8'))) === page;
}

function outputExists(where: string): ScorerError {
  return new ScorerError({
    code: 'OUTPUT_EXISTS',
    what: 'another file stands there',
    where,
    hint: 'name another output, or give --overwrite',
  });
}

async function simulateIfPossible(
  table: ScoreTable,
  options: Parameters<typeof simulateTable>[1],
): Promise<Simulation | undefined> {
  try {
    return await simulateTable(table, options);
  } catch (error) {
    if (error instanceof ScorerError && error.code === 'TOO_FEW_QUESTIONS') return undefined;
    throw error;
  }
}
