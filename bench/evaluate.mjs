// Time and memory of evaluate and simulate on made-up scored traces:
//
//     pnpm build && node bench/evaluate.mjs [traces] [traces a question] [steps a trace]
//
// 100,000 traces of 64 a question and 100 steps unless told. Each command runs in a process of its own, reading of the
// file included; shown are its wall-clock time and its peak of memory.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createAtomicFile } from '../packages/core/dist/files/index.js';
import { randomStream } from '../packages/core/dist/random/index.js';

const CLI = fileURLToPath(new URL('../packages/train/bin/scorer-train.js', import.meta.url));
/** Runs a command line and tells its peak of memory in KiB (Linux) on the last line of stderr. */
const WITH_PEAK = `
  process.argv.splice(1, 1);
  process.on('exit', () => console.error(process.resourceUsage().maxRSS));
  await import(process.argv[1]);
`;

const [traces = 100_000, tracesPerQuestion = 64, steps = 100] = process.argv.slice(2).map(Number);
const folder = mkdtempSync(join(tmpdir(), 'bench-evaluate-'));
try {
  const path = join(folder, 'scores.jsonl');
  await writeScores(path);
  const megabytes = (statSync(path).size / 1e6).toFixed(0);
  console.log(`${traces} traces, ${tracesPerQuestion} a question, ${steps} steps a trace: ${megabytes} MB`);
  for (const command of ['evaluate', 'simulate']) measure(command, path);
} finally {
  rmSync(folder, { recursive: true });
}

function measure(command, path) {
  const start = performance.now();
  const args = ['--input-type=module', '-e', WITH_PEAK, '-', CLI, command, '--scores', path, '--json', '--quiet'];
  const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', maxBuffer: 2 ** 28 });
  if (status !== 0) throw new Error(`${command} ended with ${status}: ${stderr}`);
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  const peak = (Number(stderr.trim().split('\n').at(-1)) / 1024).toFixed(0);
  console.log(`${command}: ${seconds} s, peak ${peak} MiB`);
}

/** Questions of all degrees of difficulty; scores that lean a little to the label, ever more along the trace. */
async function writeScores(path) {
  const random = randomStream(1, 'made-up scored traces');
  const file = await createAtomicFile(path);
  for (let i = 0; i < traces; i++) {
    const question = Math.floor(i / tracesPerQuestion);
    const difficulty = ((question * 7919) % 1000) / 1000;
    const hasAnswer = random.below(50) > 0;
    const isCorrect = hasAnswer && random.uniform() > difficulty;
    const wrongAnswer = question + 1 + random.below(12);
    const answer = isCorrect ? spelling(question, random) : spelling(wrongAnswer, random);
    const length = steps - random.below(steps / 2);
    const scores = Array.from({ length }, (_, t) => {
      const lean = (isCorrect ? 0.03 : -0.03) * (t / length) - 0.2 * difficulty;
      return Number(Math.min(1, Math.max(0, 0.6 + lean + 0.4 * (random.uniform() - 0.5))).toPrecision(9));
    });
    const trace = {
      shard: `made-up_hiddenstates_${Math.floor(i / 1000) * 1000}.safetensors`,
      trace_index: i,
      question: `Made-up question number ${question}`,
      ground_truth: String(question),
      extracted_answer: hasAnswer ? answer : null,
      is_correct: isCorrect,
      tokens: 60 * (length + 1),
      prompt_tokens: 60,
      step_positions: scores.map((_, t) => 60 * (t + 2) - 1),
      step_scores: scores,
      score: scores.reduce((sum, score) => sum + score, 0) / length,
    };
    await file.write(`${JSON.stringify(trace)}\n`);
  }
  await file.commit();
}

function spelling(number, random) {
  return [`${number}`, `${number}.0`, `\\frac{${2 * number}}{2}`, `${number}`][random.below(4)];
}
