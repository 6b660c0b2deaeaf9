import { keptFields, type LineOutcome, rejectedLine } from '../preprocess-line.js';
import type { PreprocessContext } from '../preprocess-trace.js';
import type { InputLine } from '../read-input.js';
import { asRow, NOT_AN_OBJECT } from '../trace-line.js';
import { labelSteps } from './label-steps.js';
import type { Neutral } from './prm800k.js';
import { ROW_READERS, type Source } from './sources.js';

export interface ConvertOptions {
  /** The data set that the rows are of. */
  from: Source;
  /** What neutral ratings of PRM800K become; `right` by default, as in the paper on it (appendix F). */
  neutral?: Neutral | undefined;
  /** Whether completions of PRM800K that were not chosen become records of their own; true by default. */
  alternatives?: boolean | undefined;
  /** Text in front of the first step, such as `<think>\n`; none by default. */
  prefix?: string | undefined;
}

export function withDefaults({ from, neutral = 'right', alternatives = true, prefix = '' }: ConvertOptions): {
  [Name in keyof ConvertOptions]-?: Exclude<ConvertOptions[Name], undefined>;
} {
  return { from, neutral, alternatives, prefix };
}

/** One line of a data set with step labels as step records, each with the further fields that are kept, or rejected. */
export function convertLine(
  line: InputLine,
  context: PreprocessContext,
  { from, neutral, alternatives, prefix, keep }: ReturnType<typeof withDefaults> & { keep: readonly string[] },
): LineOutcome[] {
  if (line.reject) return [rejectedLine(line, line.reject)];
  const row = asRow(line.value);
  if (!row) return [rejectedLine(line, NOT_AN_OBJECT)];
  const read = ROW_READERS[from](row, { neutral, alternatives });
  if ('reject' in read) return [rejectedLine(line, read.reject)];

  const kept = keptFields(row, keep);
  return read.solutions.map((solution) => {
    const outcome = labelSteps(solution, context, prefix);
    return 'reject' in outcome ? rejectedLine(line, outcome.reject) : { ...outcome, kept };
  });
}
