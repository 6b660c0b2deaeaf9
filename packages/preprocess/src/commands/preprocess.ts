import { type Command, parseOptions } from '@scorer/core/cli';
import { z } from 'zod';
import { makeRecords } from './make-records.js';
import { commaList, PROMPT_FLAGS, RUN_FLAGS, recordOptions } from './options.js';

const thinkTags = commaList
  .pipe(z.tuple([z.string().min(1), z.string().min(1)], 'name two tags, as in <think>,</think>'))
  .transform(([open, close]) => ({ open, close }));

const preprocessOptions = z.object({
  ...recordOptions,
  thinkTags: thinkTags.optional(),
  thinkOpen: z.enum(['required', 'optional']),
  answerFromResponse: z.boolean(),
  isCorrectField: z.string().min(1).optional(),
});

export const preprocess: Command = {
  name: 'preprocess',
  describe: 'Turn raw reasoning traces into graded step records',
  isDefault: true,
  options: {
    'input-file': {
      type: 'string',
      array: true,
      demandOption: true,
      describe:
        'JSONL of question, response, ground_truth, extracted_answer; also .gz, .zst, - for stdin; several, or a pattern',
    },
    ...PROMPT_FLAGS,
    'think-tags': {
      type: 'string',
      defaultDescription: '<think>,</think>',
      describe: 'What stands around the reasoning',
    },
    'think-open': {
      choices: ['required', 'optional'] as const,
      default: 'required',
      describe: 'Whether a response must hold the opening tag; optional for templates that write it themselves',
    },
    'answer-from-response': {
      type: 'boolean',
      default: false,
      describe: 'Where extracted_answer is missing take the last \\boxed{…} of the response',
    },
    'is-correct-field': { type: 'string', describe: 'Take the label from this field instead of grading' },
    ...RUN_FLAGS,
  },
  examples: [
    ['$0 --input-file raw.jsonl --output-file pre --tokenizer-path Qwen3-4B', 'writes pre/raw.jsonl'],
    ['zcat raw.jsonl.gz | $0 --input-file - --output-file pre --tokenizer-path Qwen3-4B', 'writes pre/stdin.jsonl'],
  ],
  run: async (args, context) => makeRecords(parseOptions(preprocessOptions, args), context),
};
