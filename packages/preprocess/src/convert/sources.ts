import type { RowOutcome } from './labelled-steps.js';
import { readMathShepherd } from './math-shepherd.js';
import { type Prm800kOptions, readPrm800k } from './prm800k.js';
import { readProcessBench } from './process-bench.js';
import { readTrl } from './trl.js';

/** Data sets of solutions whose steps are labelled. */
export const SOURCES = ['prm800k', 'math-shepherd', 'trl', 'processbench'] as const;
export type Source = (typeof SOURCES)[number];

export const ROW_READERS: Record<Source, (row: Record<string, unknown>, options: Prm800kOptions) => RowOutcome> = {
  prm800k: readPrm800k,
  'math-shepherd': readMathShepherd,
  trl: readTrl,
  processbench: readProcessBench,
};
