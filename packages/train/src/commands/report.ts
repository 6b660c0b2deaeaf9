import { type Command, parseOptions } from '@scorer/core/cli';
import type { Figure } from '../evaluate/bootstrap.js';
import { counted, interval, negative, percent, signed } from '../figure-text.js';
import { overwriteFlag } from '../overwrite.js';
import { type Report, report, reportOptionsSchema } from '../page/report.js';
import { largestOf } from '../page/scores-page.js';
import { describePolicy } from '../simulate/policy.js';

const commandSchema = reportOptionsSchema.extend({ overwrite: overwriteFlag });

export const reportCommand: Command = {
  name: 'report',
  describe: 'One HTML page: votes, early stopping, calibration, and the traces with their steps coloured by score',
  options: {
    scores: { type: 'string', demandOption: true, describe: 'Scored traces, from the command score' },
    'output-file': { type: 'string', demandOption: true, describe: 'The page' },
    'input-dir': { type: 'string', describe: 'Folder of the shards that were scored, for the texts' },
    checkpoint: { type: 'string', describe: "Folder of the scorer's checkpoint, for its name and its split" },
    'max-traces': { type: 'number', default: 2000, describe: 'Most traces that are shown one by one' },
    'max-loss': { type: 'number', default: 0.01, describe: 'Of accuracy, that early stopping may cost' },
    vote: { choices: ['majority', 'weighted'], default: 'weighted', describe: 'The vote that early stopping keeps' },
    resamples: { type: 'number', default: 1000, describe: 'Of the questions, for the intervals' },
    seed: { type: 'number', default: 0, describe: 'Of subsets, halves, bootstrap and shown questions' },
    overwrite: { type: 'boolean', default: false, describe: 'Write the page also where another file stands' },
  },
  examples: [
    [
      '$0 report --scores scores.jsonl --input-dir hs/ --checkpoint checkpoints/NAME --output-file report.html',
      'with texts',
    ],
  ],
  async run(args, { signal, onProgress }) {
    const result = await report({ ...parseOptions(commandSchema, args), signal, onProgress });
    return { json: toJson(result), text: describe(result) };
  },
};

function toJson({ outputFile, evaluation, simulation, shownTraces, repeated }: Report): object {
  const all = largestOf(evaluation.n);
  return {
    output_file: outputFile,
    traces: evaluation.traces,
    questions: evaluation.questions,
    shown_traces: shownTraces,
    majority: all.majority,
    weighted: all.weighted,
    weighted_minus_majority: all.weighted_minus_majority,
    best_policy: simulation && describePolicy(simulation.best.policy),
    tokens_saved: simulation?.best.tokensSaved,
    loss: simulation?.best.loss,
    repeated,
  };
}

/** The headline, and where the rest is. */
function describe({ outputFile, evaluation, simulation, shownTraces }: Report): string {
  const { majority, weighted, weighted_minus_majority } = largestOf(evaluation.n);
  const rows: [string, string][] = [
    [
      'traces',
      `${evaluation.traces} of ${counted(evaluation.questions, 'question')}, with 95 % intervals over questions`,
    ],
    ['majority vote', share(majority)],
    ['weighted vote', `${share(weighted)}, beside the majority ${difference(weighted_minus_majority)}`],
  ];
  if (simulation) {
    const { best, vote, questions } = simulation;
    rows.push(
      ['early stopping', `saves ${share(best.tokensSaved)} of the tokens: ${describePolicy(best.policy)}`],
      ['', `the ${vote} vote changes by ${difference(negative(best.loss))}`],
      ['', `chosen on ${counted(questions.choosing, 'question')}, reported on the other ${questions.reporting}`],
    );
  }
  rows.push(['page', `${outputFile}, with ${counted(shownTraces, 'trace')}`]);
  return rows.map(([label, value]) => `${label.padEnd(14)} ${value}`).join('\n');
}

function share(figure: Figure): string {
  return figure.value === null ? 'not defined' : `${percent(figure.value)} ${interval(figure)}`.trimEnd();
}

function difference(figure: Figure): string {
  return figure.value === null ? 'not defined' : `${signed(figure.value)} points ${interval(figure)}`.trimEnd();
}
