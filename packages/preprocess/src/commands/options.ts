import { z } from 'zod';
import { DEFAULT_SYSTEM_PROMPT } from '../chat-prompt.js';
import { GRADERS } from '../grader.js';

export const commaList = z.string().transform((text) => text.split(',').map((part) => part.trim()));

/** `\n`, `\t` and `\\` as one writes them in a shell. */
export const escapedText = z
  .string()
  .transform((text) => text.replace(/\\([nrt\\])/g, (_, letter: string) => ESCAPES[letter]!))
  .pipe(z.string().min(1, 'must not be empty'));

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', '\\': '\\' };

const jsonObject = z.string().transform((text, context): Record<string, unknown> => {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value };
  } catch {}
  context.addIssue({ code: 'custom', message: 'not a JSON object' });
  return z.NEVER;
});

/** The flag `--overwrite`, as the library takes it. */
export const overwriteFlag = z.boolean().transform((replace) => (replace ? 'replace' : 'refuse'));

const count = z.number().int('must be a whole number').positive('must be positive');

/** More threads than any machine has cores for this; each holds a tokenizer. */
const MAX_WORKERS = 64;

/** What every command that makes step records reads from its flags; their flags are `PROMPT_FLAGS` and `RUN_FLAGS`. */
export const recordOptions = {
  inputFile: z.array(z.string().min(1)).min(1, 'name at least one input file'),
  outputFile: z.string().min(1, 'name the output folder'),
  tokenizerPath: z.string().min(1, "name the model's folder"),
  revision: z.string().min(1).optional(),
  systemPrompt: z.union([z.string(), z.literal(false)]).optional(),
  templateKwargs: jsonObject.optional(),
  stepSeparator: escapedText.optional(),
  maxTokens: count.optional(),
  grader: z.enum(GRADERS),
  keep: commaList.optional(),
  limit: count.optional(),
  workers: count.max(MAX_WORKERS, `no more than ${MAX_WORKERS}`),
  dryRun: z.boolean(),
  report: z.string().min(1).optional(),
  overwrite: overwriteFlag,
};

export const GRADER_OPTION = {
  choices: GRADERS,
  default: 'ours',
  describe: "Rules by which answers are equal; original: those of the original's math_equal",
} as const;

/** Where records go, and the prompt before their text. */
export const PROMPT_FLAGS = {
  'output-file': {
    type: 'string',
    demandOption: true,
    describe: 'Folder for <basename>.jsonl and <basename>.rejects.jsonl',
  },
  'tokenizer-path': {
    type: 'string',
    demandOption: true,
    describe: 'Hugging Face folder with tokenizer.json and a chat template, or a hub id such as Qwen/Qwen3-4B',
  },
  revision: { type: 'string', defaultDescription: 'main', describe: 'Branch, tag or commit of a hub model' },
  'system-prompt': {
    type: 'string',
    defaultDescription: `"${DEFAULT_SYSTEM_PROMPT}"`,
    describe: 'System message; --no-system-prompt leaves it out',
  },
  'template-kwargs': { type: 'string', describe: 'Variables for the chat template, a JSON object' },
} as const;

/** How texts are cut, what is kept, and how the work is done. */
export const RUN_FLAGS = {
  'step-separator': {
    type: 'string',
    defaultDescription: '"\\n\\n"',
    describe: 'A token that holds this ends a step; \\n stands for a line break',
  },
  'max-tokens': { type: 'number', describe: 'Refuse traces with more tokens in prompt and reasoning' },
  grader: GRADER_OPTION,
  keep: { type: 'string', describe: 'Further input fields to copy, separated by commas' },
  limit: { type: 'number', describe: 'Read only so many lines of each file' },
  workers: { type: 'number', default: 1, describe: 'Threads; the outputs are the same for any number' },
  'dry-run': { type: 'boolean', default: false, describe: 'Count only, write nothing' },
  report: { type: 'string', describe: 'Write a page with the distributions to this file' },
  overwrite: { type: 'boolean', default: false, describe: 'Make outputs anew that exist' },
} as const;
