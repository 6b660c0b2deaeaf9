/**
 * What losses, models and aggregations are worth: scorers on the tiny reasoner's traces, cross-validated by question, beside
 * scikit-learn's logistic regression on the same rows and folds.
 *
 *     SCORER_PYTHON=python3 node bench/losses.mjs [--seeds 3] [--folds 5] [--work folder]
 *
 * Needs ../shared/tiny-reasoner (or SCORER_SHARED) and a Python with safetensors and scikit-learn. Prints a Markdown table;
 * run again with the same --work, it goes on where it stopped.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { crossValidate, rocAuc, withinQuestionAuc } from '../packages/train/dist/index.js';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const TINY = join(process.env.SCORER_SHARED ?? join(ROOT, '../shared'), 'tiny-reasoner');
const PYTHON = process.env.SCORER_PYTHON ?? 'python3';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '3' },
    folds: { type: 'string', default: '5' },
    work: { type: 'string' },
  },
});
const folds = Number(values.folds);
const seeds = Array.from({ length: Number(values.seeds) }, (_, seed) => seed);
const work = values.work ?? mkdtempSync(join(tmpdir(), 'losses-'));

/** The first is what the others are compared with. */
const MODELS = {
  'BCE, 512 hidden units (the default)': {},
  'BCE, standardised': { standardise: true },
  'BCE, 64 principal components': { pca: 64 },
  'BCE, dropout 0.2': { dropout: 0.2 },
  'BCE, two layers 256, 64': { hiddenUnits: [256, 64] },
  'BCE, as many of each class': { classBalance: 'sample' },
  'pairwise, 512 hidden units': { loss: 'pairwise' },
  'pairwise, standardised': { loss: 'pairwise', standardise: true },
  'logistic regression': { hiddenUnits: [] },
  'logistic regression, standardised': { hiddenUnits: [], standardise: true },
};
const SCIKIT_LEARN = 'scikit-learn LogisticRegression, standardised';

/** A trace's score from those of its steps. */
const AGGREGATIONS = {
  mean: (steps) => steps.reduce((sum, score) => sum + score, 0) / steps.length,
  min: (steps) => Math.min(...steps),
  last: (steps) => steps.at(-1),
};

const states = extractStates();
/** By model: for each seed and fold, for each aggregation, AUC pooled and within questions. */
const results = {};
for (const [i, [name, settings]] of Object.entries(MODELS).entries()) {
  for (const seed of seeds) {
    const configName = `model${i}_seed${seed}`;
    process.stderr.write(`${name}, seed ${seed}\n`);
    const options = {
      trainDir: states,
      outDir: work,
      configName,
      seed,
      folds,
      device: 'cpu',
      threads: 1,
      keep: 'best',
    };
    const { folds: runs } = await crossValidate({ ...options, ...settings });
    results[name] ??= [];
    for (const { checkpointFolder } of runs)
      results[name].push(judge(join(checkpointFolder, 'validation_scores.jsonl')));
  }
}
results[SCIKIT_LEARN] = seeds.flatMap((seed) =>
  Array.from({ length: folds }, (_, fold) => {
    const folder = join(work, 'checkpoints', `model0_seed${seed}`, `fold${fold + 1}`);
    const scores = join(folder, 'scikit_learn_scores.jsonl');
    if (!existsSync(scores)) run(PYTHON, [join(ROOT, 'bench/losses_sklearn.py'), states, folder, scores]);
    return judge(scores);
  }),
);
print();

function extractStates() {
  const folder = join(work, 'states');
  const steps = join(work, 'steps');
  const cli = (stage, args) =>
    run(process.execPath, [join(ROOT, 'packages', stage, 'bin', `scorer-${stage}.js`), ...args, '--quiet']);
  mkdirSync(folder, { recursive: true });
  const model = join(TINY, 'model');
  const input = join(TINY, 'traces/train.jsonl');
  cli('preprocess', ['--input_file', input, '--output_file', steps, '--tokenizer_path', model]);
  const extract = [
    '--model_name',
    model,
    '--input_path',
    join(steps, 'train.jsonl'),
    '--output_path',
    join(folder, 't'),
  ];
  cli('hidden-states', [...extract, '--device', 'cpu']);
  return folder;
}

function run(command, args) {
  const { status, stderr, error } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0) throw error ?? new Error(stderr);
}

function judge(path) {
  const traces = readFileSync(path, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
    .filter(({ step_scores }) => step_scores.length > 0);
  const labels = Uint8Array.from(traces, ({ is_correct }) => Number(is_correct));
  const names = [...new Set(traces.map(({ question }) => question))];
  const questions = Uint32Array.from(traces, ({ question }) => names.indexOf(question));
  return Object.fromEntries(
    Object.entries(AGGREGATIONS).map(([name, aggregate]) => {
      const scores = Float64Array.from(traces, ({ step_scores }) => aggregate(step_scores));
      return [name, { pooled: rocAuc(scores, labels), within: withinQuestionAuc(scores, labels, questions).value }];
    }),
  );
}

function print() {
  const columns = Object.keys(AGGREGATIONS).flatMap((name) => [`${name}: pooled`, `within`]);
  const reference = Object.values(results)[0];
  const mean = (numbers) => numbers.reduce((sum, x) => sum + x, 0) / numbers.length;
  const standardError = (numbers) => {
    const m = mean(numbers);
    return Math.sqrt(numbers.reduce((sum, x) => sum + (x - m) ** 2, 0) / (numbers.length - 1) / numbers.length);
  };
  console.log(`| trace AUC by ${columns.join(' | ')} | mean, within: difference to the first |`);
  console.log(`|---|${columns.map(() => '---|').join('')}---|`);
  for (const [name, runs] of Object.entries(results)) {
    const cells = Object.keys(AGGREGATIONS).flatMap((aggregation) =>
      ['pooled', 'within'].map((kind) => mean(runs.map((judged) => judged[aggregation][kind])).toFixed(3)),
    );
    const differences = runs.map((judged, i) => judged.mean.within - reference[i].mean.within);
    const difference = mean(differences);
    const sign = difference < 0 ? '−' : '+';
    const paired =
      runs === reference ? '' : `${sign}${Math.abs(difference).toFixed(3)} ± ${standardError(differences).toFixed(3)}`;
    console.log(`| ${name} | ${cells.join(' | ')} | ${paired} |`);
  }
  console.log(
    `\n${seeds.length} seeds × ${folds} folds by question; ± is the standard error over them of the paired difference.`,
  );
}
