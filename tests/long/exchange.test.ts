/**
 * What goes to other programs and comes from them, through the command lines: Python reads what is exported, where
 * SCORER_PYTHON names an interpreter with torch, onnxruntime and safetensors.
 */
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { permutation, randomStream } from '@scorer/core/random';
import { openShard, openShardWriter, type TraceStates } from '@scorer/core/shards';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadModel, openDecoder } from '../../packages/hidden-states/dist/index.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const PYTHON = process.env.SCORER_PYTHON;
const MODEL = join(ROOT, 'apps/demo/data/model');
const TRACES = join(ROOT, 'apps/demo/data/traces.jsonl');
const LAST_LAYER = 5;

let work: string;
beforeAll(() => {
  work = mkdtempSync(join(tmpdir(), 'exchange-'));
});
afterAll(() => rmSync(work, { recursive: true }));

function run(command: string, args: string[], cwd = work): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(command, args, { cwd, encoding: 'utf8' });
}

function scorer(stage: string, ...args: string[]): ReturnType<typeof run> {
  return run(process.execPath, [join(ROOT, 'packages', stage, 'bin', `scorer-${stage}.js`), ...args]);
}

/** The reasoning steps of every trace of the shards, one after the other, as an engine would have them: what is said of each. */
const REPLAY_IN_NODE = `
  import { openShardFolder } from '@scorer/core/shards';
  import { toFloat32 } from '@scorer/core/safetensors';
  import { watchTrace } from './watch.mjs';
  const said = [];
  const { shards: [shard], layers, hiddenSize } = await openShardFolder('hs');
  const regions = await shard.stepRegions();
  for (let trace = 0; trace < shard.traceCount; trace++) {
    const watch = watchTrace();
    const [scores, stops] = [[], []];
    for (let row = shard.stepOffsets[trace]; row < shard.stepOffsets[trace + 1]; row++) {
      if (regions[row] === 0) continue;
      const { score, stop } = await watch(toFloat32('F16', await shard.readRows(layers.at(-1), row, row + 1)));
      scores.push(score);
      stops.push(stop);
    }
    said.push({ scores, stops });
  }
  console.log(JSON.stringify(said));
  process.exit();
`;
const REPLAY_IN_PYTHON = `
import json, glob
import numpy as np
from safetensors import safe_open
from watch import Watch
said = []
with safe_open(glob.glob("hs/*.safetensors")[0], framework="numpy") as shard:
    offsets, regions = shard.get_tensor("step_offsets"), shard.get_tensor("step_regions")
    states = shard.get_tensor("hidden_states.${LAST_LAYER}")
    for first, end in zip(offsets, offsets[1:]):
        watch, trace = Watch(), {"scores": [], "stops": []}
        for row in range(first, end):
            if regions[row]:
                trace["stops"].append(bool(watch(states[row])))
                trace["scores"].append(float(np.mean(watch.scores)))
        said.append(trace)
print(json.dumps(said))
`;

describe.skipIf(!PYTHON)('in Python (skipped without SCORER_PYTHON)', () => {
  test('exported scorers give the probabilities of PyTorch to 1e-6: torch, onnxruntime, safetensors, step_scorer.py', () => {
    const files: [format: string, ending: string, ...more: string[]][] = [
      ['pt', 'pt'],
      ['safetensors', 'safetensors'],
      ['onnx', 'onnx'],
      ['onnx', 'f16.onnx', '--row-type', 'float16'],
    ];
    for (const name of ['original', 'deep', 'logistic']) {
      const source = join(ROOT, 'packages/train/src/export/fixtures', `${name}.pt`);
      for (const [format, ending, ...more] of files) {
        const output = ['--output_file', `exported/${name}.${ending}`];
        const { status, stderr } = scorer(
          'train',
          'export',
          '--scorer',
          source,
          '--format',
          format,
          ...output,
          ...more,
        );
        expect(status, stderr).toBe(0);
      }
    }
    const checked = run(PYTHON!, [join(ROOT, 'tools/oracles/export.py'), 'check', join(work, 'exported')]);
    expect(checked.status, checked.stderr).toBe(0);
    const differences: Record<string, Record<string, number>> = JSON.parse(checked.stdout);
    expect(Object.keys(differences)).toEqual(['original', 'deep', 'logistic']);
    for (const [name, byReader] of Object.entries(differences)) {
      expect(Object.keys(byReader)).toHaveLength(10);
      for (const [reader, difference] of Object.entries(byReader)) {
        expect(difference, `${name} by ${reader}`).toBeLessThan(1e-6);
      }
    }
  });

  describe('the recipes of docs/recipes.md', () => {
    const TRACE_COUNT = 64;
    const blocks = new Map(
      [...readFileSync(join(ROOT, 'docs/recipes.md'), 'utf8').matchAll(/```(sh|python|js) (\w+)\n(.*?)```/gs)].map(
        ([, language, name, code]) => [language === 'js' ? `${name}.js` : name!, code!],
      ),
    );
    const folder = (name: string): string => join(work, name);

    /** What a recipe takes for granted: a model, traces, and the files of another program, which Python makes. */
    beforeAll(() => {
      mkdirSync(folder('recipes/models'), { recursive: true });
      symlinkSync(MODEL, folder('recipes/models/Qwen3-4B'));
      const traces = readFileSync(TRACES, 'utf8').split('\n').slice(0, TRACE_COUNT);
      writeFileSync(folder('recipes/raw.jsonl'), traces.join('\n'));
      command('npx @scorer/preprocess --input_file raw.jsonl --output_file pre --tokenizer_path models/Qwen3-4B');
      const theirs = run(
        PYTHON!,
        [join(ROOT, 'tools/oracles/exchange.py'), MODEL, 'pre/raw.jsonl', '.'],
        folder('recipes'),
      );
      expect(theirs.status, theirs.stderr).toBe(0);
      renameSync(folder('recipes/vllm'), folder('recipes/states'));
      renameSync(folder('recipes/step'), folder('recipes/old'));
    });

    /** A line of a recipe, by the packages of this repository; the demo's model has fewer layers. */
    function command(line: string): string {
      const [, stage, rest] = /^npx @scorer\/([\w-]+) (.*)$/.exec(line)!;
      const bin = join(ROOT, 'packages', stage!, 'bin', `scorer-${stage}.js`);
      const args = rest!.replace('--layers 36', `--layers 2,${LAST_LAYER}`).split(' ');
      const { status, stdout, stderr } = run(process.execPath, [bin, ...args], folder('recipes'));
      expect(status, `${line}\n${stderr}`).toBe(0);
      return stdout;
    }

    function recipe(name: string): string {
      for (const made of ['hs', 'checkpoints', 'plots'])
        rmSync(folder(`recipes/${made}`), { recursive: true, force: true });
      return blocks.get(name)!.trim().split('\n').map(command).join('\n');
    }

    test('from a vLLM run to a scorer', () => {
      const output = recipe('vllm');
      expect(output).toMatch(/^good: /m);
      expect(output).toMatch(/^AUC +0\.\d{4}$/m);
    });

    test("from the original's .pt files to a scorer, and from that to PyTorch", () => {
      expect(recipe('step')).toMatch(/^AUC +0\.\d{4}$/m);
      for (const line of blocks.get('export')!.trim().split('\n')) command(line);
      expect(readdirSync(folder('recipes'))).toEqual(
        expect.arrayContaining(['scorer.pt', 'scorer.onnx', 'scorer.safetensors']),
      );
      cpSync(join(ROOT, 'tools/python/step_scorer.py'), folder('recipes/step_scorer.py'));
      const { status, stdout, stderr } = run(PYTHON!, ['-c', blocks.get('loader')!], folder('recipes'));
      expect(status, stderr).toBe(0);
      expect(stdout).toBe(`(4,) last [${LAST_LAYER}]\n`);
    });

    test('a trace that is watched as it grows has the running mean of its step scores, in Node and in Python', () => {
      recipe('step');
      // The few questions of this test leave one for validation, and a rule is chosen on some and judged on others.
      for (const line of blocks.get('stopping')!.trim().split('\n')) {
        const [text, redirected] = line.replace('--only validation ', '').split(' > ');
        const stdout = command(text!);
        if (redirected) writeFileSync(folder(`recipes/${redirected}`), stdout);
      }
      const rule = { best: { policy: { kind: 'threshold', below: 0.5, warmup: 2 } } };
      writeFileSync(folder('recipes/stopping.json'), JSON.stringify(rule));
      mkdirSync(folder('recipes/node_modules/@scorer'), { recursive: true });
      for (const name of ['core', 'train']) {
        symlinkSync(join(ROOT, 'packages', name), folder(`recipes/node_modules/@scorer/${name}`));
      }
      writeFileSync(folder('recipes/watch.mjs'), blocks.get('watch.js')!);
      writeFileSync(folder('recipes/watch.py'), blocks.get('watch')!);
      const [inNode, inPython] = [
        [process.execPath, '--input-type=module', '-e', REPLAY_IN_NODE],
        [PYTHON!, '-c', REPLAY_IN_PYTHON],
      ].map(([program, ...args]): { scores: number[]; stops: boolean[] }[] => {
        const { status, stdout, stderr } = run(program!, args, folder('recipes'));
        expect(status, stderr).toBe(0);
        return JSON.parse(stdout);
      });
      const scored = readFileSync(folder('recipes/held-out.jsonl'), 'utf8').trim().split('\n');
      const steps: number[][] = scored.map((line) => JSON.parse(line).step_scores);
      expect(inNode!.map(({ stops }) => stops)).toEqual(inPython!.map(({ stops }) => stops));
      expect(new Set(inNode!.flatMap(({ stops }) => stops)).size).toBe(2);
      for (const [trace, { scores }] of inNode!.entries()) {
        expect(scores).toHaveLength(steps[trace]!.length);
        for (const [step, score] of scores.entries()) {
          const mean = steps[trace]!.slice(0, step + 1).reduce((sum, value) => sum + value, 0) / (step + 1);
          expect(score).toBeCloseTo(mean, 6);
          expect(inPython![trace]!.scores[step]).toBeCloseTo(mean, 6);
        }
      }
    });
  });

  test.each(['float32', 'float16', 'bfloat16'])(
    'an audit of good states that PyTorch computed in %s raises nothing',
    (dtype) => {
      const TRACE_COUNT = 40;
      const to = `audit-${dtype}`;
      mkdirSync(join(work, to));
      const traces = readFileSync(TRACES, 'utf8').split('\n').slice(0, TRACE_COUNT);
      writeFileSync(join(work, to, 'raw.jsonl'), traces.join('\n'));
      const flags = ['--input_file', `${to}/raw.jsonl`, '--output_file', `${to}/pre`, '--tokenizer_path', MODEL];
      expect(scorer('preprocess', ...flags).status).toBe(0);
      const records = join(work, to, 'pre/raw.jsonl');
      const oracle = [join(ROOT, 'tools/oracles/exchange.py'), MODEL, records, join(work, to), '--dtype', dtype];
      const theirs = run(PYTHON!, oracle);
      expect(theirs.status, theirs.stderr).toBe(0);
      for (const [from, ...more] of [
        ['vllm', '--layers', '2,5'],
        ['step', '--dtype', dtype],
      ] as const) {
        const source = ['--from', from, '--source', `${to}/${from}`, '--model-name', MODEL, ...more];
        const imported = scorer(
          'hidden-states',
          'import',
          ...source,
          '--input-path',
          records,
          '--output-path',
          `${to}/hs-${from}/x`,
        );
        expect(imported.status, imported.stderr).toBe(0);
        const audited = scorer(
          'hidden-states',
          'audit',
          '--model',
          MODEL,
          '--input-dir',
          `${to}/hs-${from}`,
          '--sample',
          '100%',
          '--device',
          'cpu',
        );
        expect(audited.status, `${audited.stdout}${audited.stderr}`).toBe(0);
        console.log(`${dtype} from ${from}: ${audited.stdout.match(/median distance \S+/g)?.join(', ')}`);
      }
    },
  );
});

describe("an audit of 1 % of the demo's 2,432 traces, of which one shard of three has a fault", () => {
  const SEEDS = [0, 1, 2, 3, 4];
  let shards: string[];
  let last: TraceStates[];

  beforeAll(async () => {
    const records = ['--input_file', TRACES, '--output_file', 'pre', '--tokenizer_path', MODEL];
    expect(scorer('preprocess', ...records).status).toBe(0);
    const flags = [
      '--model-name',
      MODEL,
      '--input-path',
      'pre/traces.jsonl',
      '--output-path',
      'hs/demo',
      '--device',
      'cpu',
    ];
    expect(scorer('hidden-states', ...flags).status).toBe(0);
    shards = readdirSync(join(work, 'hs')).map((name) => join(work, 'hs', name));
    const shard = await openShard(shards.at(-1)!);
    last = await Promise.all(Array.from({ length: shard.traceCount }, (_, i) => shard.readTrace(i)));
    await shard.close();
  });

  type StatesOf = (traces: readonly TraceStates[]) => Promise<Uint8Array[]>;

  /** The states at other tokens or of another layer. */
  const computed =
    (shift: number, layer: number): StatesOf =>
    async (traces) => {
      const options = { storage: 'F16', compute: 'float32', device: 'cpu' } as const;
      const decoder = await openDecoder(await loadModel(MODEL), { layers: [layer], ...options });
      const states: Uint8Array[] = [];
      for (const { inputIds, stepPositions } of traces) {
        const positions = stepPositions.map((position) => position + shift);
        states.push((await decoder.hiddenStates({ inputIds, positions })).get(layer)!);
      }
      await decoder.close();
      return states;
    };

  /** Every trace's states given to another one with as many steps. */
  const swapped: StatesOf = async (traces) => {
    const states = traces.map(({ hiddenStates }) => hiddenStates.get(LAST_LAYER)!);
    const random = randomStream(7, 'swaps');
    for (const steps of new Set(traces.map(({ stepPositions }) => stepPositions.length))) {
      const same = traces.flatMap(({ stepPositions }, i) => (stepPositions.length === steps ? [i] : []));
      const order = Array.from(permutation(same.length, random), (i) => same[i]!);
      const own = order.map((i) => traces[i]!.hiddenStates.get(LAST_LAYER)!);
      for (const [k, i] of order.entries()) states[i] = own[(k + 1) % own.length]!;
    }
    return states;
  };

  async function auditWith(
    name: string,
    statesOf: StatesOf,
    seed: number,
  ): Promise<{ status: number | null; kinds: string[] }> {
    const folder = join(work, `fault-${name}`);
    if (seed === SEEDS[0]) {
      mkdirSync(folder);
      for (const path of shards.slice(0, -1)) cpSync(path, join(folder, path.slice(path.lastIndexOf('/') + 1)));
      const shard = await openShard(shards.at(-1)!);
      const { layers, hiddenSize, storage, metadata } = shard;
      await shard.close();
      const writer = await openShardWriter(join(folder, 'last.safetensors'), { layers, hiddenSize, storage, metadata });
      const states = await statesOf(last);
      await Promise.all(
        last.map((trace, i) => writer.append({ ...trace, hiddenStates: new Map([[LAST_LAYER, states[i]!]]) })),
      );
      await writer.seal();
    }
    const flags = [
      '--model',
      MODEL,
      '--input-dir',
      folder,
      '--sample',
      '1%',
      '--seed',
      String(seed),
      '--device',
      'cpu',
    ];
    const { status, stdout, stderr } = scorer('hidden-states', 'audit', ...flags, '--json');
    expect(stdout, stderr).not.toBe('');
    const faults: { kind: string; example: { shard: string } }[] = JSON.parse(stdout).faults;
    expect(faults.every(({ example }) => example.shard === 'last.safetensors')).toBe(true);
    return { status, kinds: faults.map(({ kind }) => kind) };
  }

  test.each<[string, string[], StatesOf]>([
    ['none', [], async (traces) => traces.map(({ hiddenStates }) => hiddenStates.get(LAST_LAYER)!)],
    ['a shift by one token', ['position'], computed(-1, LAST_LAYER)],
    ['another layer', ['layer'], computed(0, LAST_LAYER - 1)],
    ['swapped traces', ['trace'], swapped],
  ])('finds and names it, whatever the seed: %s', async (name, kinds, statesOf) => {
    for (const seed of SEEDS) {
      const found = await auditWith(name, statesOf, seed);
      expect(found, `seed ${seed}`).toEqual({ status: kinds.length === 0 ? 0 : 3, kinds });
    }
  });
});
