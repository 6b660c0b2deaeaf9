/**
 * The recipe for data sets with step labels, through the command lines: traces of the demo's model, labelled by their
 * arithmetic and written as rows of PRM800K and of ProcessBench, become a scorer and its F1.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const TRACES = join(ROOT, 'apps/demo/data/traces.jsonl');
const LAST_TRAINING_QUESTION = 100;

interface RawTrace {
  question: string;
  response: string;
  ground_truth: string;
  extracted_answer: string | null;
}

/** A trace's steps, with the index of the first one whose result is not that of the right traces; -1 for none. */
interface JudgedTrace extends RawTrace {
  steps: string[];
  firstError: number;
}

let work: string;
beforeAll(() => {
  work = mkdtempSync(join(tmpdir(), 'step-labels-'));
  mkdirSync(join(work, 'models'));
  symlinkSync(join(ROOT, 'apps/demo/data/model'), join(work, 'models/Qwen3-4B'));
  const byQuestion = [...questionsOf(TRACES).values()].map(judge).filter((traces) => traces.length > 0);
  const rows = (traces: JudgedTrace[][], row: (trace: JudgedTrace, i: number) => object): string =>
    traces
      .flat()
      .map((trace, i) => `${JSON.stringify(row(trace, i))}\n`)
      .join('');
  writeFileSync(join(work, 'phase2_train.jsonl'), rows(byQuestion.slice(0, LAST_TRAINING_QUESTION), prm800k));
  const [first, second] = [LAST_TRAINING_QUESTION, LAST_TRAINING_QUESTION + 18];
  writeFileSync(join(work, 'gsm8k.jsonl'), rows(byQuestion.slice(first, second), processBench));
  writeFileSync(join(work, 'math.jsonl'), rows(byQuestion.slice(second), processBench));
});
afterAll(() => rmSync(work, { recursive: true }));

test('the recipe for step labels gives a scorer that knows wrong steps better than chance, and its F1 by source', () => {
  const recipe = /```sh steps\n(.*?)```/s.exec(readFileSync(join(ROOT, 'docs/recipes.md'), 'utf8'))![1]!;
  const outputs = recipe
    .trim()
    .split('\n')
    .map((line) => command(line));
  const [converted] = outputs;
  expect(converted).toMatch(/step labels: \d+ right, \d+ wrong/);
  const trained = outputs.find((output) => output.includes('best epoch'))!;
  expect(trained).toMatch(/^learnt +labels of the steps in the shards$/m);
  expect(Number(/^AUC +(0\.\d+)$/m.exec(trained)![1])).toBeGreaterThan(0.6);
  const table = outputs.at(-1)!;
  expect(table).toMatch(/^gsm8k +\d+ +\d+/m);
  expect(table).toMatch(/^a step is taken for wrong below 0\.\d+, chosen on \d+ questions/m);
  const f1 = Number(/^all +\d+ +\d+ .* (\d\.\d{3}) ±[\d.]+$/m.exec(table)![1]);
  expect(f1).toBeGreaterThan(0.2);
});

/** A line of the recipe, by the packages of this repository. */
function command(line: string): string {
  const [, stage, rest] = /^npx @scorer\/([\w-]+) (.*)$/.exec(line)!;
  const bin = join(ROOT, 'packages', stage!, 'bin', `scorer-${stage}.js`);
  const { status, stdout, stderr } = spawnSync(process.execPath, [bin, ...rest!.split(' ')], {
    cwd: work,
    encoding: 'utf8',
  });
  expect(status, `${line}\n${stderr}`).toBe(0);
  return stdout;
}

function questionsOf(path: string): Map<string, RawTrace[]> {
  const questions = new Map<string, RawTrace[]>();
  for (const line of readFileSync(path, 'utf8').trim().split('\n')) {
    const trace: RawTrace = JSON.parse(line);
    questions.set(trace.question, [...(questions.get(trace.question) ?? []), trace]);
  }
  return questions;
}

/** The traces of a question that one of them answers rightly: its results say what each numbered step should give. */
function judge(traces: RawTrace[]): JudgedTrace[] {
  const steps = ({ response }: RawTrace): string[] =>
    response
      .replace(/<\/?think>/g, '')
      .split('\n\n')
      .map((step) => step.trim())
      .filter(Boolean);
  const right = traces.find(({ extracted_answer: answer, ground_truth }) => answer === ground_truth);
  if (!right) return [];
  const results = new Map(
    steps(right)
      .flatMap((step) => resultOf(step) ?? [])
      .map(({ number, result }) => [number, result]),
  );
  const isWrong = (trace: RawTrace, step: string): boolean => {
    const { number, result } = resultOf(step) ?? {};
    if (number !== undefined) return results.get(number) !== result;
    return /answer is/.test(step) && trace.extracted_answer !== trace.ground_truth;
  };
  return traces.map((trace) => {
    const all = steps(trace);
    return { ...trace, steps: all, firstError: all.findIndex((step) => isWrong(trace, step)) };
  });
}

/** `Step 3 (add): 4 + 5 = 9.` */
function resultOf(step: string): { number: string; result: string } | undefined {
  const [, number, result] = /^Step (\d+).*= (-?\d+)\.$/.exec(step) ?? [];
  return number === undefined ? undefined : { number, result: result! };
}

function processBench({ question, steps, firstError, extracted_answer, ground_truth }: JudgedTrace, i: number): object {
  const final_answer_correct = extracted_answer === ground_truth;
  return { id: `demo-${i}`, generator: 'demo', problem: question, steps, final_answer_correct, label: firstError };
}

/** Labelling ends at the first error, as in phase 2. */
function prm800k({ question, ground_truth, steps, firstError }: JudgedTrace): object {
  const rated = firstError === -1 ? steps : steps.slice(0, firstError + 1);
  return {
    labeler: 'demo',
    generation: 9,
    question: { problem: question, ground_truth_answer: ground_truth, pre_generated_steps: steps },
    label: {
      steps: rated.map((text, i) => ({
        completions: [{ text, rating: i === firstError ? -1 : i % 3 === 0 ? 0 : 1, flagged: null }],
        human_completion: null,
        chosen_completion: i === firstError ? null : 0,
      })),
      total_time: 1,
      finish_reason: firstError === -1 ? 'solution' : 'found_error',
    },
  };
}
