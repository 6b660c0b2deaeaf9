import { type Command, parseOptions, runCli } from '@scorer/core/cli';
import { z } from 'zod';
import { DEFAULT_SYSTEM_PROMPT } from './chat-prompt.js';
import { gradeFile } from './grade-file.js';
import { preprocessFiles } from './preprocess-file.js';
import { describeGrades, describeRun, totalsOf } from './summary.js';

const commaList = z.string().transform((text) => text.split(',').map((part) => part.trim()));

/** `\n`, `\t` and `\\` as one writes them in a shell. */
const escapedText = z
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

const preprocessOptions = z.object({
  inputFile: z.array(z.string().min(1)).min(1, 'name at least one input file'),
  outputFile: z.string().min(1, 'name the output folder'),
  tokenizerPath: z.string().min(1, "name the model's folder"),
  systemPrompt: z.union([z.string(), z.literal(false)]).optional(),
  templateKwargs: jsonObject.optional(),
  thinkOpen: z.enum(['required', 'optional']),
  stepSeparator: escapedText.optional(),
  keep: commaList.optional(),
  limit: z.number().int('must be a whole number').positive('must be positive').optional(),
  overwrite: z.boolean(),
});

const preprocess: Command = {
  name: 'preprocess',
  describe: 'Turn raw reasoning traces into graded step records',
  isDefault: true,
  options: {
    'input-file': {
      type: 'string',
      array: true,
      demandOption: true,
      describe: 'JSONL of question, response, ground_truth, extracted_answer; also .gz, .zst, - for stdin; several',
    },
    'output-file': {
      type: 'string',
      demandOption: true,
      describe: 'Folder for <basename>.jsonl and <basename>.rejects.jsonl',
    },
    'tokenizer-path': {
      type: 'string',
      demandOption: true,
      describe: 'Hugging Face folder with tokenizer.json, tokenizer_config.json and a chat template',
    },
    'system-prompt': {
      type: 'string',
      describe: `System message; --no-system-prompt leaves it out [default: "${DEFAULT_SYSTEM_PROMPT}"]`,
    },
    'template-kwargs': { type: 'string', describe: 'Variables for the chat template, a JSON object' },
    'think-open': {
      choices: ['required', 'optional'] as const,
      default: 'required',
      describe: 'Whether a response must hold <think>; optional for templates that write it themselves',
    },
    'step-separator': {
      type: 'string',
      describe: 'A token that holds this ends a step; \\n stands for a line break [default: "\\n\\n"]',
    },
    keep: { type: 'string', describe: 'Further input fields to copy, separated by commas' },
    limit: { type: 'number', describe: 'Read only so many lines of each file' },
    overwrite: { type: 'boolean', default: false, describe: 'Make outputs anew that exist' },
  },
  examples: [
    ['$0 --input-file raw.jsonl --output-file pre --tokenizer-path Qwen3-4B', 'writes pre/raw.jsonl'],
    ['zcat raw.jsonl.gz | $0 --input-file - --output-file pre --tokenizer-path Qwen3-4B', 'writes pre/stdin.jsonl'],
  ],
  async run(args, { signal, log, onProgress }) {
    const options = parseOptions(preprocessOptions, args);
    const startedAt = performance.now();
    const summary = await preprocessFiles({
      inputFiles: options.inputFile,
      outputDir: options.outputFile,
      tokenizerPath: options.tokenizerPath,
      systemPrompt: options.systemPrompt === false ? null : options.systemPrompt,
      templateVariables: options.templateKwargs,
      thinkOpen: options.thinkOpen,
      stepSeparator: options.stepSeparator,
      keep: options.keep,
      limit: options.limit,
      overwrite: options.overwrite,
      signal,
      onProgress,
    });
    for (const warning of summary.warnings) log.warn(warning);
    for (const output of summary.alreadyDone) log.info(`${output} was already finished: its result is repeated`);
    const totals = totalsOf(summary.files);
    const seconds = (performance.now() - startedAt) / 1000;
    if (summary.alreadyDone.length === 0) {
      log.info(`${seconds.toFixed(1)} s, ${(totals.traces_in / seconds).toFixed(0)} traces/s`);
    }
    return { json: totals, text: describeRun(totals) };
  },
};

const gradeOptions = z.object({
  inputFile: z.string().min(1),
  outputFile: z.string().min(1),
  columns: commaList.pipe(z.tuple([z.string().min(1), z.string().min(1)], 'name two columns, as in a,b')),
  overwrite: z.boolean(),
});

const grade: Command = {
  name: 'grade',
  describe: 'Say of each pair of answers whether they are mathematically equal, and by which rule',
  options: {
    'input-file': { type: 'string', demandOption: true, describe: 'JSONL; also .gz, .zst, - for stdin' },
    'output-file': { type: 'string', demandOption: true, describe: 'JSONL: each line with equal and rule' },
    columns: { type: 'string', demandOption: true, describe: 'The two fields to compare, separated by a comma' },
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

await runCli({
  name: 'scorer-preprocess',
  describe: 'Chat prompt, tokens, steps and grade for raw reasoning traces',
  packageUrl: import.meta.url,
  commands: [preprocess, grade],
});
