/** An extraction that is killed at random moments: what was stored is not computed again, and the bytes are the same. */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { randomStream } from '@scorer/core/random';
import { afterAll, beforeAll, expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const DATA = join(ROOT, 'apps/demo/data');
const TRACES = 100;
const KILLS = 50;
/** Most traces between two kills. */
const MOST_STORED = 8;
/** Most milliseconds from the trace that was waited for to the kill: in the midst of the next one, or of its write. */
const MOST_DELAY = 12;

/** Extracts argv[1] to argv[2]; writes to argv[3] each trace that is computed, and how many are on the disk. */
const EXTRACT = `
  import { appendFileSync } from 'node:fs';
  import { extract, openDecoder } from ${JSON.stringify(pathToFileURL(join(ROOT, 'packages/hidden-states/dist/index.js')).href)};
  const [inputPath, outputPath, log] = process.argv.slice(1);
  const write = (line) => appendFileSync(log, line + '\\n');
  const watched = async (...args) => {
    const decoder = await openDecoder(...args);
    const hiddenStates = async (sequence) => {
      const states = await decoder.hiddenStates(sequence);
      write('computed ' + sequence.inputIds.join());
      return states;
    };
    return { ...decoder, hiddenStates };
  };
  const onProgress = ({ stage, done }) => stage.startsWith('extracting') && write('stored ' + done);
  const model = ${JSON.stringify(join(DATA, 'model'))};
  await extract({ model, inputPath, outputPath, device: 'cpu', threads: 1, openDecoder: watched, onProgress });
`;

let folder: string;
let steps: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'extraction-'));
  const bin = join(ROOT, 'packages/preprocess/bin/scorer-preprocess.js');
  const model = ['--tokenizer_path', join(DATA, 'model')];
  const files = ['--input_file', join(DATA, 'traces.jsonl'), '--output_file', folder];
  expect(spawnSync(process.execPath, [bin, ...files, ...model, '--quiet']).status).toBe(0);
  const lines = readFileSync(join(folder, 'traces.jsonl'), 'utf8').trim().split('\n');
  // Identical traces are computed once; here each shall count.
  const distinct = new Map(lines.map((line) => [textOf(line), line]));
  steps = join(folder, 'steps.jsonl');
  writeFileSync(
    steps,
    [...distinct.values()]
      .slice(0, TRACES)
      .map((line) => `${line}\n`)
      .join(''),
  );
});
afterAll(() => rmSync(folder, { recursive: true }));

function textOf(line: string): string {
  const { prompt, forward_text } = JSON.parse(line);
  return prompt + forward_text;
}

const shardOf = (output: string): string => `${output}_hiddenstates_0_${TRACES}.safetensors`;

function linesOf(log: string, word: string): string[] {
  if (!existsSync(log)) return [];
  const lines = readFileSync(log, 'utf8').split('\n').slice(0, -1);
  return lines.filter((line) => line.startsWith(word)).map((line) => line.slice(word.length + 1));
}

/** Runs until it ends, or is killed a moment after it has stored so many traces of its own. */
async function run(output: string, log: string, kill?: { stored: number; delay: number }): Promise<'ended' | 'killed'> {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', EXTRACT, steps, output, log]);
  let ended = false;
  const end = new Promise<NodeJS.Signals | null>((done) =>
    child.on('close', (_, signal) => {
      ended = true;
      done(signal);
    }),
  );
  const computed = (): number => linesOf(log, 'computed').length;
  while (kill && !ended && computed() < kill.stored) await after(1);
  if (kill) await after(kill.delay);
  if (kill) child.kill('SIGKILL');
  return (await end) === 'SIGKILL' ? 'killed' : 'ended';
}

const after = (milliseconds: number) => new Promise((done) => setTimeout(done, milliseconds));

test(`${KILLS} kills cost no stored trace and change no byte`, async () => {
  const unbroken = join(folder, 'unbroken');
  await run(unbroken, join(folder, 'unbroken.log'));
  const expected = readFileSync(shardOf(unbroken));

  const random = randomStream(0, 'kills');
  const output = join(folder, 'broken');
  let [kills, shards, repeated, total] = [0, 0, 0, 0];
  let computedBefore = new Set<string>();
  let storedBefore = 0;
  for (let runs = 0; ; runs++) {
    // Runs that end before they are killed show nothing.
    expect(runs).toBeLessThan(4 * KILLS);
    const log = join(folder, `${runs}.log`);
    const wanted = { stored: random.below(MOST_STORED + 1), delay: random.below(MOST_DELAY) };
    const outcome = await run(output, log, kills < KILLS ? wanted : undefined);
    if (outcome === 'killed') kills += 1;

    const computed = linesOf(log, 'computed');
    expect(new Set(computed).size).toBe(computed.length);
    total += computed.length;
    const again = computed.filter((ids) => computedBefore.has(ids)).length;
    repeated += again;
    // What was computed before but not known to be stored may have to be computed again.
    expect(again, `run ${runs}`).toBeLessThanOrEqual(computedBefore.size - storedBefore);
    expect(computed.length).toBeLessThanOrEqual(TRACES - storedBefore);
    computedBefore = new Set([...computedBefore, ...computed]);
    storedBefore = Math.max(storedBefore, ...linesOf(log, 'stored').map(Number));

    if (!existsSync(shardOf(output))) continue;
    expect(readFileSync(shardOf(output)).equals(expected), `after ${kills} kills`).toBe(true);
    shards += 1;
    if (kills >= KILLS) break;
    rmSync(shardOf(output));
    computedBefore = new Set();
    storedBefore = 0;
  }
  console.log(
    `${kills} kills, ${shards} shards of ${TRACES} traces: ${total} computed, ${repeated} of them a second time (cut off before they were stored)`,
  );
}, 600_000);
