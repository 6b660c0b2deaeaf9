import { basename, dirname, join } from 'node:path';
import type { OnProgress } from '@scorer/core/cli';
import { ScorerError } from '@scorer/core/errors';
import { formatJsonLine } from '@scorer/core/jsonl';
import { z } from 'zod';
import { GRADING, type Grader } from './grader.js';
import { makeOnce } from './make-once.js';
import { openAtomicOutputs } from './outputs.js';
import { type InputLine, lineProgress, readBatches, STDIN } from './read-input.js';
import { softwareVersion } from './software-version.js';
import { refuseOverwriting } from './targets.js';
import { digitsOf } from './trace-line.js';

export interface GradeOptions {
  /** JSONL file, also .gz and .zst; `-` is stdin. */
  inputFile: string;
  outputFile: string;
  /** The two fields that are compared. */
  columns: readonly [string, string];
  /** Default `ours`; `original` takes the first column for the answer and the second for the ground truth. */
  grader?: Grader | undefined;
  /** What happens to an output that exists and was made otherwise: `refuse` by default; `replace` makes it anew. */
  overwrite?: 'refuse' | 'replace' | undefined;
  signal?: AbortSignal | undefined;
  onProgress?: OnProgress | undefined;
}

const gradeCountsSchema = z.object({
  pairs: z.number(),
  equal: z.number(),
  /** Pairs by the rule that decided. */
  rules: z.record(z.string(), z.number()),
});

export interface GradeSummary extends z.output<typeof gradeCountsSchema> {
  input_file: string;
  output_file: string;
  alreadyDone: boolean;
}

/** The rule of a pair in which an answer is null: no answer equals nothing. */
const NO_ANSWER_RULE = 'no-answer';

/**
 * Writes each line of a file again with `equal` (whether the two columns are mathematically equal) and `rule` (which
 * rule said so).
 * @throws ScorerError `BAD_PAIR` for a line that is no object or lacks a column, `NOT_JSON` and the other line errors,
 *   `NO_USABLE_LINE`, `OUTPUT_EXISTS`, `OUTPUT_IS_INPUT` (usage), `FILE_NOT_FOUND`
 */
export async function gradeFile(options: GradeOptions): Promise<GradeSummary> {
  const { inputFile, outputFile, columns, grader = 'ours', overwrite = 'refuse', signal, onProgress } = options;
  await refuseOverwriting([inputFile], [outputFile]);
  const job = {
    input: inputFile,
    outputs: [outputFile],
    completion: join(dirname(outputFile), `.${basename(outputFile)}.grade.json`),
    settings: { software: softwareVersion(), columns, grader },
    resultSchema: gradeCountsSchema,
    overwrite,
    signal,
  };

  const open = () => openAtomicOutputs(job.outputs);
  const { result, wasDone } = await makeOnce(job, open, async ({ files: [file] }, linesRead) => {
    const rules = new Map<string, number>();
    const counts = { pairs: 0, equal: 0 };
    const showProgress = await lineProgress(inputFile, { stage: 'grading', onProgress });
    for await (const batch of readBatches(inputFile, { signal })) {
      for (const line of batch) {
        linesRead.update(line.raw).update('\n');
        const { row, a, b } = readPair(line, columns, inputFile);
        const { equal, rule } =
          a === null || b === null ? { equal: false, rule: NO_ANSWER_RULE } : GRADING[grader](a, b);
        counts.pairs += 1;
        counts.equal += Number(equal);
        rules.set(rule, (rules.get(rule) ?? 0) + 1);
        await file!.write(`${formatJsonLine({ ...row, equal, rule })}\n`);
      }
      showProgress(batch.at(-1)!.line);
    }
    if (counts.pairs === 0) {
      throw new ScorerError({ code: 'NO_USABLE_LINE', what: 'the file holds no line', where: inputFile });
    }
    return { ...counts, rules: Object.fromEntries([...rules].sort()) };
  });
  return { input_file: inputFile, output_file: outputFile, ...result, alreadyDone: wasDone };
}

type Row = Readonly<Record<string, unknown>>;

function readPair(
  line: InputLine,
  [columnA, columnB]: readonly [string, string],
  file: string,
): { row: Row; a: string | null; b: string | null } {
  const where = `${file === STDIN ? 'stdin' : file}:${line.line}`;
  if (line.reject) throw new ScorerError({ code: line.reject.code, what: line.reject.reason, where });
  const { value, raw } = line;
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw badPair(where, 'the line is no object');
  const row: Row = { ...value };
  const answerIn = (column: string): string | null => {
    const answer = row[column];
    if (typeof answer === 'number') return digitsOf(column, answer, raw);
    if (typeof answer === 'string' || answer === null) return answer;
    throw badPair(where, column in row ? `${column} is no text, number or null` : `the line has no ${column}`);
  };
  return { row, a: answerIn(columnA), b: answerIn(columnB) };
}

function badPair(where: string, what: string): ScorerError {
  return new ScorerError({ code: 'BAD_PAIR', what, where, hint: 'name the two columns with --columns a,b' });
}
