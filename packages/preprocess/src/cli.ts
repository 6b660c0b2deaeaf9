import { setFlagsFromString } from 'node:v8';
import { type Command, parseOptions, runCli } from '@scorer/core/cli';
import { z } from 'zod';
import { DEFAULT_SYSTEM_PROMPT } from './chat-prompt.js';
import { gradeFile } from './grade-file.js';
import { GRADERS } from './grader.js';
import { preprocessFiles } from './preprocess-file.js';
import { writeReport } from './report.js';
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

const thinkTags = commaList
  .pipe(z.tuple([z.string().min(1), z.string().min(1)], 'name two tags, as in <think>,</think>'))
  .transform(([open, close]) => ({ open, close }));

const count = z.number().int('must be a whole number').positive('must be positive');

/**
 * V8 lets each heap grow to several times what lives in it, and several threads have as many heaps: 680 MB for two with
 * Qwen3's tokenizer, where 50 MB live in each. Collecting sooner costs a few percent of the time.
 */
const TIGHT_HEAPS = '--heap-growing-percent=40';

/** More threads than any machine has cores for this; each holds a tokenizer. */
const MAX_WORKERS = 64;

const preprocessOptions = z.object({
  inputFile: z.array(z.string().min(1)).min(1, 'name at least one input file'),
  outputFile: z.string().min(1, 'name the output folder'),
  tokenizerPath: z.string().min(1, "name the model's folder"),
  revision: z.string().min(1).optional(),
  systemPrompt: z.union([z.string(), z.literal(false)]).optional(),
  templateKwargs: jsonObject.optional(),
  thinkTags: thinkTags.optional(),
  thinkOpen: z.enum(['required', 'optional']),
  stepSeparator: escapedText.optional(),
  maxTokens: count.optional(),
  answerFromResponse: z.boolean(),
  grader: z.enum(GRADERS),
  isCorrectField: z.string().min(1).optional(),
  keep: commaList.optional(),
  limit: count.optional(),
  workers: count.max(MAX_WORKERS, `no more than ${MAX_WORKERS}`),
  dryRun: z.boolean(),
  report: z.string().min(1).optional(),
  overwrite: z.boolean(),
});

const GRADER_OPTION = {
  choices: GRADERS,
  default: 'ours',
  describe: "Rules by which answers are equal; original: those of the original's math_equal",
} as const;

const preprocess: Command = {
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
    revision: { type: 'string', describe: 'Branch, tag or commit of a hub model [default: main]' },
    'system-prompt': {
      type: 'string',
      describe: `System message; --no-system-prompt leaves it out [default: "${DEFAULT_SYSTEM_PROMPT}"]`,
    },
    'template-kwargs': { type: 'string', describe: 'Variables for the chat template, a JSON object' },
    'think-tags': { type: 'string', describe: 'What stands around the reasoning [default: <think>,</think>]' },
    'think-open': {
      choices: ['required', 'optional'] as const,
      default: 'required',
      describe: 'Whether a response must hold the opening tag; optional for templates that write it themselves',
    },
    'step-separator': {
      type: 'string',
      describe: 'A token that holds this ends a step; \\n stands for a line break [default: "\\n\\n"]',
    },
    'max-tokens': { type: 'number', describe: 'Refuse traces with more tokens in prompt and reasoning' },
    'answer-from-response': {
      type: 'boolean',
      default: false,
      describe: 'Where extracted_answer is missing take the last \\boxed{…} of the response',
    },
    grader: GRADER_OPTION,
    'is-correct-field': { type: 'string', describe: 'Take the label from this field instead of grading' },
    keep: { type: 'string', describe: 'Further input fields to copy, separated by commas' },
    limit: { type: 'number', describe: 'Read only so many lines of each file' },
    workers: { type: 'number', default: 1, describe: 'Threads; the outputs are the same for any number' },
    'dry-run': { type: 'boolean', default: false, describe: 'Count only, write nothing' },
    report: { type: 'string', describe: 'Write a page with the distributions to this file' },
    overwrite: { type: 'boolean', default: false, describe: 'Make outputs anew that exist' },
  },
  examples: [
    ['$0 --input-file raw.jsonl --output-file pre --tokenizer-path Qwen3-4B', 'writes pre/raw.jsonl'],
    ['zcat raw.jsonl.gz | $0 --input-file - --output-file pre --tokenizer-path Qwen3-4B', 'writes pre/stdin.jsonl'],
  ],
  async run(args, { signal, log, onProgress }) {
    const { inputFile, outputFile, systemPrompt, templateKwargs, report, ...options } = parseOptions(
      preprocessOptions,
      args,
    );
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
  },
};

const gradeOptions = z.object({
  inputFile: z.string().min(1),
  outputFile: z.string().min(1),
  columns: commaList.pipe(z.tuple([z.string().min(1), z.string().min(1)], 'name two columns, as in a,b')),
  grader: z.enum(GRADERS),
  overwrite: z.boolean(),
});

const grade: Command = {
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

await runCli({
  name: 'scorer-preprocess',
  describe: 'Chat prompt, tokens, steps and grade for raw reasoning traces',
  packageUrl: import.meta.url,
  commands: [preprocess, grade],
});
