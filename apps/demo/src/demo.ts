/**
 * The whole pipeline on a tiny reasoning model: raw traces → step records → hidden states → scorer, plots, report → what
 * the scorer is worth on questions that it was not trained on.
 * Each stage runs as its published command line in a process of its own, as a user would run it.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const NAME = 'tiny_reasoner_demo';
const app = join(dirname(fileURLToPath(import.meta.url)), '..');
const data = join(app, 'data');
const out = join(app, 'out');
const checkpoint = join(out, 'checkpoints', NAME);
const scores = join(out, 'scores', `${NAME}.jsonl`);
const page = join(out, 'scores', `${NAME}.html`);

const startedAt = performance.now();
runStage('@scorer/preprocess', {
  input_file: join(data, 'traces.jsonl'),
  output_file: join(out, 'steps'),
  tokenizer_path: join(data, 'model'),
});
runStage('@scorer/hidden-states', {
  model_name: join(data, 'model'),
  input_path: join(out, 'steps', 'traces.jsonl'),
  output_path: join(out, 'states', 'traces'),
});
runStage('@scorer/train', {
  train_dir: join(out, 'states'),
  config_name: NAME,
  out_dir: out,
});
runStage('@scorer/train score', {
  scorer: checkpoint,
  input_dir: join(out, 'states'),
  only: 'validation',
  rejects: join(out, 'steps', 'traces.rejects.jsonl'),
  output_file: scores,
});
runStage('@scorer/train report', {
  scores,
  input_dir: join(out, 'states'),
  checkpoint,
  output_file: page,
  overwrite: true,
});
const seconds = (performance.now() - startedAt) / 1000;
console.log(
  `\nThe whole pipeline took ${seconds.toFixed(0)} s. Open the report: ${join(out, 'plots', NAME, 'report.html')}
and the traces with their scores, on questions that were not trained on: ${page}`,
);

function runStage(call: string, options: Record<string, string | true>): void {
  const [packageName, ...command] = call.split(' ') as [string, ...string[]];
  const args = Object.entries(options).flatMap(([flag, value]) =>
    value === true ? [`--${flag}`] : [`--${flag}`, value],
  );
  const shown = args.map((argument) => (argument.startsWith(app) ? relative(process.cwd(), argument) : argument));
  console.log(`\n$ npx ${call} ${shown.join(' ')}`);
  const { status, signal } = spawnSync(process.execPath, [binOf(packageName), ...command, ...args], {
    stdio: 'inherit',
  });
  if (status !== 0) {
    console.error(`${packageName} ended with ${signal ?? `exit code ${status}`}`);
    process.exit(status ?? 1);
  }
}

/** The script behind a package's command line: the first entry of `bin`. */
function binOf(packageName: string): string {
  const manifestPath = createRequire(import.meta.url).resolve(`${packageName}/package.json`);
  const { bin } = JSON.parse(readFileSync(manifestPath, 'utf8')) as { bin: Record<string, string> };
  return join(dirname(manifestPath), Object.values(bin)[0]!);
}
