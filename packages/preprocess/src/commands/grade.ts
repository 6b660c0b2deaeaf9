import { type Command, parseOptions } from '@scorer/core/cli';
import { z } from 'zod';
import { gradeFile } from '../grade-file.js';
import { GRADERS } from '../grader.js';
import { describeGrades } from '../summary.js';
import { commaList, GRADER_OPTION, overwriteFlag } from './options.js';

const gradeOptions = z.object({
  inputFile: z.string().min(1),
  outputFile: z.string().min(1),
  columns: commaList.pipe(z.tuple([z.string().min(1), z.string().min(1)], 'name two columns, as in a,b')),
  grader: z.enum(GRADERS),
  overwrite: overwriteFlag,
});

export const grade: Command = {
  name: 'grade',
  describe: 'Say of each pair of answers whether they are mathematically equal, and by which rule',
  options: {
    'input-file': { type: 'string', demandOption: true, describe: 'JSONL; also .gz, .zst, - for stdin' },
    'output-file': { type: 'string', demandOption: true, describe: 'JSONL: each line with equal and rule' },
    columns: { type: 'string', demandOption: true, describe: 'The two fields to compare, separated by a comma' },
    grader: GRADER_OPTION,
    overwrite: { type: 'boolean', default: false, describe: 'Make the output anew if it exists' },
  },
  examples: [['$0 grade --input-file pairs.jsonl --columns a,b --output-file graded.jsonl', 'grades a against b']],
  async run(args, { signal, log, onProgress }) {
    const options = parseOptions(gradeOptions, args);
    const { alreadyDone, ...summary } = await gradeFile({ ...options, signal, onProgress });
    if (alreadyDone) log.info(`${summary.output_file} was already finished: its result is repeated`);
    return { json: summary, text: describeGrades(summary) };
  },
};
