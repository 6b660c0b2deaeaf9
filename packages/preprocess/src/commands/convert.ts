import { type Command, parseOptions } from '@scorer/core/cli';
import { z } from 'zod';
import { NEUTRALS } from '../convert/prm800k.js';
import { SOURCES } from '../convert/sources.js';
import { makeRecords } from './make-records.js';
import { escapedText, PROMPT_FLAGS, RUN_FLAGS, recordOptions } from './options.js';

const convertOptions = z.object({
  ...recordOptions,
  from: z.enum(SOURCES),
  neutral: z.enum(NEUTRALS),
  alternatives: z.boolean(),
  prefix: escapedText.optional(),
});

export const convert: Command = {
  name: 'convert',
  describe: 'Turn data sets whose steps are labelled into step records with a label for each step',
  options: {
    from: { choices: SOURCES, demandOption: true, describe: 'Whose rows the input holds' },
    'input-file': {
      type: 'string',
      array: true,
      demandOption: true,
      describe: 'JSONL of such rows; also .gz, .zst, - for stdin; several, or a pattern',
    },
    ...PROMPT_FLAGS,
    prefix: {
      type: 'string',
      defaultDescription: 'none',
      describe: 'Text before the first step, such as "<think>\\n"',
    },
    neutral: {
      choices: NEUTRALS,
      default: 'right',
      describe: 'What a rating of 0 in PRM800K becomes: right, but no progress',
    },
    alternatives: {
      type: 'boolean',
      default: true,
      describe: 'Make a record of each completion that PRM800K rated beside the chosen one',
    },
    ...RUN_FLAGS,
  },
  examples: [
    [
      '$0 convert --from processbench --input-file gsm8k.jsonl --output-file pre --tokenizer-path Qwen3-4B',
      'writes pre/gsm8k.jsonl',
    ],
  ],
  async run(args, context) {
    const { from, neutral, alternatives, prefix, ...options } = parseOptions(convertOptions, args);
    return makeRecords({ ...options, convert: { from, neutral, alternatives, prefix } }, context);
  },
};
