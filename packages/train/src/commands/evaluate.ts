import { type Command, parseOptions } from '@scorer/core/cli';
import { z } from 'zod';
import { describeEvaluation } from '../evaluate/describe.js';
import { EVALUATE_DEFAULTS, evaluate, evaluateOptionsSchema } from '../evaluate/evaluate.js';
import { overwriteFlag } from '../overwrite.js';
import { reportOn, reportOptionsSchema } from '../page/report.js';
import { loadScoreTable } from '../scores/score-table.js';

const sizes = z
  .string()
  .transform((list) => list.split(',').map((size) => (size.trim() === 'all' ? ('all' as const) : Number(size))))
  .pipe(evaluateOptionsSchema.shape.n.unwrap());

const path = z.string().min(1);
const commandSchema = evaluateOptionsSchema.extend({
  scores: path,
  n: sizes.optional(),
  report: path.optional(),
  inputDir: path.optional(),
  checkpoint: path.optional(),
  overwrite: overwriteFlag,
});

export const evaluateCommand: Command = {
  name: 'evaluate',
  describe: 'What the scores are worth: votes, best of N, ranks, calibration, with intervals',
  options: {
    scores: { type: 'string', demandOption: true, describe: 'scores.jsonl of scorer-train score; - for stdin' },
    n: { type: 'string', describe: 'How many traces vote: 1,2,4,8,all; default: powers of two and all' },
    subsets: {
      type: 'number',
      default: EVALUATE_DEFAULTS.subsets,
      describe: 'Random subsets of N traces where a question has more',
    },
    resamples: {
      type: 'number',
      default: EVALUATE_DEFAULTS.resamples,
      describe: 'Of the questions, for the intervals',
    },
    seed: { type: 'number', default: EVALUATE_DEFAULTS.seed, describe: 'Of subsets and resamples' },
    top: {
      type: 'number',
      default: EVALUATE_DEFAULTS.top,
      describe: 'Share of the votes that the filtered vote keeps',
    },
    'step-threshold': {
      type: 'number',
      describe: 'Score below which a step is taken for wrong; default: chosen on half of the questions',
    },
    report: { type: 'string', describe: 'Also write the page of the command report, here' },
    'input-dir': { type: 'string', describe: 'For the page: folder of the shards that were scored' },
    checkpoint: { type: 'string', describe: "For the page: folder of the scorer's checkpoint" },
    overwrite: { type: 'boolean', default: false, describe: 'Write the page also where another file stands' },
  },
  examples: [['$0 evaluate --scores scores.jsonl --n 1,4,16', 'with 1, 4 and 16 traces of each question']],
  async run(args, { signal, onProgress }) {
    const { scores, report, inputDir, checkpoint, overwrite, ...options } = parseOptions(commandSchema, args);
    const page =
      report === undefined
        ? undefined
        : parseOptions(reportOptionsSchema, {
            scores,
            outputFile: report,
            inputDir,
            checkpoint,
            overwrite,
            seed: options.seed,
            resamples: options.resamples,
          });
    const table = await loadScoreTable(scores, { signal, onProgress });
    const evaluation = await evaluate(table, { ...options, signal, onProgress });
    if (page) await reportOn(table, evaluation, { ...page, signal, onProgress });
    return { json: evaluation, text: describeEvaluation(evaluation) };
  },
};
