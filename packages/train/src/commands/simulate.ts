import { type Command, parseOptions } from '@scorer/core/cli';
import { z } from 'zod';
import type { Figure } from '../evaluate/bootstrap.js';
import { count, counted, decimals, percent } from '../figure-text.js';
import { describePolicy, STOPPING_KINDS } from '../simulate/policy.js';
import type { PolicyFigures } from '../simulate/policy-figures.js';
import { type Setting, type Simulation, simulate, simulateSettingsSchema } from '../simulate/simulate.js';

const optionsSchema = simulateSettingsSchema.extend({ scores: z.string().min(1) });

export const simulateCommand: Command = {
  name: 'simulate',
  describe: 'What stopping traces early would save, and what it would cost in accuracy',
  options: {
    scores: { type: 'string', demandOption: true, describe: 'Scored traces, from the command score' },
    'max-loss': { type: 'number', default: 0.01, describe: 'The accuracy of the vote may fall by so much' },
    vote: { choices: ['majority', 'weighted'], default: 'weighted', describe: 'The vote whose accuracy decides' },
    policies: {
      choices: STOPPING_KINDS,
      array: true,
      default: [...STOPPING_KINDS],
      describe: 'Kinds of policies that are tried',
    },
    seed: { type: 'number', default: 0, describe: 'Of the halves and of the bootstrap' },
    resamples: { type: 'number', default: 1000, describe: 'Bootstrap resamples of the questions' },
    'stream-rate': { type: 'number', default: 50, describe: 'For the time: tokens a second of one trace alone' },
    'batch-rate': { type: 'number', default: 2000, describe: 'For the time: most tokens a second of all together' },
  },
  examples: [
    ['$0 simulate --scores scores.jsonl', 'the best policy that costs no more than one point of accuracy'],
    ['$0 simulate --scores scores.jsonl --policies memory --max-loss 0', 'the policy of STEP alone, at no loss'],
  ],
  async run(args, { signal, onProgress }) {
    const result = await simulate({ ...parseOptions(optionsSchema, args), signal, onProgress });
    return { json: toJson(result), text: describe(result) };
  },
};

function toJson({ nothingStopped, best, byKind, settings, questions, ...simulation }: Simulation): object {
  return {
    traces: simulation.traces,
    unknown_prompts: simulation.unknownPrompts,
    questions,
    vote: simulation.vote,
    max_loss: simulation.maxLoss,
    seed: simulation.seed,
    rates: simulation.rates,
    nothing_stopped: rowToJson(nothingStopped),
    best: rowToJson(best),
    by_policy: Object.fromEntries(Object.entries(byKind).map(([kind, figures]) => [kind, rowToJson(figures)])),
    settings: settings.map(settingToJson),
  };
}

function rowToJson({ policy, tokensSaved, secondsSaved, ...figures }: PolicyFigures): object {
  return {
    policy,
    text: describePolicy(policy),
    ...figures,
    tokens_saved: tokensSaved,
    seconds_saved: secondsSaved,
  };
}

function settingToJson({ isPareto, ...setting }: Setting): object {
  return { ...setting, is_pareto: isPareto };
}

function describe({ traces, unknownPrompts, questions, vote, maxLoss, rates, ...simulation }: Simulation): string {
  const rows: [string, PolicyFigures][] = [
    ['none', simulation.nothingStopped],
    ...Object.entries(simulation.byKind),
    ['best', simulation.best],
  ];
  const header = ['policy', 'majority', 'weighted', 'loss', '', 'tokens saved', '', 'time saved', ''];
  const cells = rows.map(([kind, { policy, majority, weighted, loss, tokensSaved, secondsSaved }]) => [
    kind,
    decimals(majority),
    decimals(weighted),
    ...withInterval(loss, (value) => decimals({ value })),
    ...withInterval(tokensSaved, percent),
    ...withInterval(secondsSaved, percent),
    describePolicy(policy),
  ]);
  const { tokens } = simulation.nothingStopped;
  const lines = [
    `${counted(traces, 'trace')}; chosen on ${counted(questions.choosing, 'question')}, figures of the other ${questions.reporting}, with 95 % intervals`,
    `a question's traces generate ${count(Math.round(tokens.value ?? 0))} tokens together when nothing is stopped`,
    '',
    ...table([[...header, 'setting'], ...cells]),
    '',
    `Of each kind the setting that spends the fewest tokens while the ${vote} vote loses no more than ${maxLoss}, by a`,
    'standard error, on the questions that it is chosen on. Stopped traces have no vote. fewer: sampling less, without a',
    'scorer.',
    `Time is an estimate: ${count(rates.stream)} tokens/s a trace, ${count(rates.batch)} tokens/s all together.`,
  ];
  if (unknownPrompts > 0) {
    lines.push(
      `prompt tokens that are not told, of ${counted(unknownPrompts, 'trace')}, count as generated: the saving is understated`,
    );
  }
  return lines.join('\n');
}

function withInterval({ value, ci95 }: Figure, format: (value: number | null) => string): [string, string] {
  return [format(value), ci95 ? `[${format(ci95[0])}, ${format(ci95[1])}]` : ''];
}

/** Columns as wide as their widest cell; the first and the last are text, the others numbers. */
function table(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const isText = (column: number): boolean => column === 0 || column === widths.length - 1;
  return rows.map((row) =>
    row
      .map((cell, column) => (isText(column) ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
      .join('  ')
      .trimEnd(),
  );
}
