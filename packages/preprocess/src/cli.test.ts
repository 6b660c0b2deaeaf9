import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cp, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const BIN = fileURLToPath(new URL('../bin/scorer-preprocess.js', import.meta.url));
const DEMO_MODEL = fileURLToPath(new URL('../../../apps/demo/data/model', import.meta.url));
const DEMO_TRACES = fileURLToPath(new URL('../../../apps/demo/data/traces.jsonl', import.meta.url));
const ODD = fileURLToPath(new URL('./fixtures/odd.jsonl', import.meta.url));

/** A cache with nothing in it, and no way out. */
const OFFLINE = { ...process.env, HF_HUB_OFFLINE: '1', HF_HUB_CACHE: join(tmpdir(), 'scorer-no-cache') };

interface Finished {
  code: number | string | null | undefined;
  stdout: string;
  stderr: string;
}

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'scorer-cli-'));
});
afterEach(() => rm(folder, { recursive: true }));

/** Runs the built command as a user would. */
function cli(args: string[], stdin?: string): Promise<Finished> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [BIN, ...args], { cwd: folder, env: OFFLINE }, (error, stdout, stderr) =>
      resolve({ code: error ? error.code : 0, stdout, stderr }),
    );
    child.stdin?.end(stdin ?? '');
  });
}

const inputs = (file: string): string[] => [
  '--input_file',
  file,
  '--output_file',
  'out',
  '--tokenizer_path',
  DEMO_MODEL,
];

describe('scorer-preprocess', () => {
  it('prints one JSON object, the same one when it is run again', async () => {
    const first = await cli([...inputs(ODD), '--json']);
    const again = await cli([...inputs(ODD), '--json']);
    expect(first).toMatchObject({ code: 0 });
    expect(JSON.parse(first.stdout)).toMatchObject({
      traces_in: 23,
      traces_out: 15,
      rejects: { NOT_JSON: 1, NO_ANSWER: 2 },
      files: [{ input_file: ODD, output_file: 'out/odd.jsonl', rejects_file: 'out/odd.rejects.jsonl' }],
    });
    expect(again.stdout).toBe(first.stdout);
    expect(again.stderr).toContain('already finished');
  });

  it('prints a summary for people, and nothing else on stdout', async () => {
    const { stdout, stderr } = await cli(inputs(ODD));
    expect(stdout).toContain('out/odd.jsonl: 15 of 23 traces');
    expect(stdout).toContain('2 NO_ANSWER');
    expect(stderr).toContain('traces/s');
    expect(await cli([...inputs(ODD), '--quiet'])).toMatchObject({ stdout, stderr: '' });
  });

  it('reads stdin, and knows the same stdin again', async () => {
    const text = await readFile(ODD, 'utf8');
    const flags = [...inputs('-'), '--json'];
    const first = await cli(flags, text);
    expect(JSON.parse(first.stdout)).toMatchObject({ files: [{ output_file: 'out/stdin.jsonl', traces_out: 15 }] });
    expect(await cli(flags, text)).toMatchObject({ code: 0, stdout: first.stdout });
    const other = await cli(flags, text.split('\n').slice(0, 3).join('\n'));
    expect(other).toMatchObject({ code: 3, stdout: '' });
    expect(other.stderr).toMatch(/^error\[OUTPUT_EXISTS\]: .*made from another input/m);
  });

  it('takes the chat options', async () => {
    const flags = [
      '--no-system-prompt',
      '--template-kwargs',
      '{"x": 1}',
      '--think-open',
      'optional',
      '--keep',
      'id,seed',
    ];
    await cli([...inputs(ODD), ...flags, '--step-separator', '.\\n\\n']);
    const [record] = (await readFile(join(folder, 'out/odd.jsonl'), 'utf8')).split('\n');
    expect(JSON.parse(record!).prompt).toMatch(/^<\|im_start\|>user/);
    expect(JSON.parse(record!).segmented_text_list[0]).toMatch(/\.\n\n$/);
    const settings = JSON.parse(await readFile(join(folder, 'out/.odd.preprocess.json'), 'utf8')).settings;
    expect(settings).toMatchObject({ system_prompt: null, template_kwargs: { x: 1 }, keep: ['id', 'seed'] });
  });

  it('takes several input files', async () => {
    await cp(ODD, join(folder, 'second.jsonl'));
    const { stdout } = await cli([...inputs(ODD).toSpliced(2, 0, 'second.jsonl'), '--json']);
    expect(JSON.parse(stdout)).toMatchObject({ traces_in: 46, files: [{ traces_in: 23 }, { traces_in: 23 }] });
  });

  const failures: [string, string[], number, string][] = [
    ['a missing flag', ['--input-file', ODD], 2, 'USAGE'],
    ['an unknown flag', [...inputs(ODD), '--frobnicate'], 2, 'USAGE'],
    ['template variables that are no JSON object', [...inputs(ODD), '--template-kwargs', '[1]'], 2, 'BAD_OPTION'],
    ['a limit of nothing', [...inputs(ODD), '--limit', '0'], 2, 'BAD_OPTION'],
    ['one tag for two', [...inputs(ODD), '--think-tags', '<think>'], 2, 'BAD_OPTION'],
    ['half a worker', [...inputs(ODD), '--workers', '0.5'], 2, 'BAD_OPTION'],
    ['a pattern without a match', inputs('*.jsonl'), 3, 'NO_MATCH'],
    ['an empty separator', [...inputs(ODD), '--step-separator', ''], 2, 'BAD_OPTION'],
    ['a missing input file', inputs('missing.jsonl'), 3, 'FILE_NOT_FOUND'],
    ['a folder as input', inputs('.'), 3, 'IS_A_FOLDER'],
    ['a file without any JSON', inputs(BIN), 3, 'NO_USABLE_LINE'],
    ['a hub model off-line', [...inputs(ODD), '--tokenizer-path', 'Qwen/Qwen3-4B'], 3, 'HUB_OFFLINE'],
    ['a folder without a tokenizer', [...inputs(ODD), '--tokenizer-path', '.'], 3, 'TOKENIZER_NOT_FOUND'],
  ];
  it.each(failures)('answers %s with a line that names it and with its exit code', async (_, args, code, errorCode) => {
    const result = await cli(args);
    expect(result).toMatchObject({ code, stdout: '' });
    expect(result.stderr.trimEnd().split('\n').at(-1)).toMatch(new RegExp(`^error\\[${errorCode}\\]: `));
  });

  it('writes the same bytes with any number of workers', async () => {
    const digests = await Promise.all(
      [1, 2, 3].map(async (workers) => {
        const out = `out${workers}`;
        await cli([...inputs(ODD), '--input-file', DEMO_TRACES, '--output-file', out, '--workers', String(workers)]);
        const names = (await readdir(join(folder, out))).sort();
        const contents = await Promise.all(names.map((name) => readFile(join(folder, out, name), 'utf8')));
        return contents.map((content, i) => [names[i], createHash('sha256').update(content).digest('hex')]);
      }),
    );
    expect(digests[0]).toHaveLength(6);
    expect(digests[1]).toEqual(digests[0]);
    expect(digests[2]).toEqual(digests[0]);
  });

  it('reports what a worker meets as it would itself', async () => {
    const missing = await cli([...inputs(ODD), '--tokenizer-path', '.', '--workers', '2']);
    expect(missing).toMatchObject({ code: 3, stderr: expect.stringMatching(/^error\[TOKENIZER_NOT_FOUND\]: /) });
    const refusing = await cli([...inputs(BIN), '--workers', '2']);
    expect(refusing).toMatchObject({ code: 3, stderr: expect.stringMatching(/^error\[NO_USABLE_LINE\]: /m) });
  });

  it('warns, before the work, of a template that opens the reasoning itself', async () => {
    await cp(DEMO_MODEL, join(folder, 'model'), { recursive: true });
    await writeFile(join(folder, 'model/chat_template.jinja'), '{{ messages[-1].content }}<think>\n');
    const flags = [...inputs(ODD), '--tokenizer-path', 'model'];
    const { stderr } = await cli(flags);
    expect(stderr).toMatch(/^warning: the chat template ends the prompt with <think>.*--think-open optional/m);
    expect((await cli([...flags, '--think-open', 'optional', '--output-file', 'o2'])).stderr).not.toContain('warning');
  });

  it('writes a report where asked', async () => {
    const { stdout } = await cli([...inputs(ODD), '--report', 'pages/page.html']);
    expect(stdout).toContain('15 of 23 traces');
    expect(await readFile(join(folder, 'pages/page.html'), 'utf8')).toContain('data-figure="tokens-0"');
  });

  it('counts without writing in a dry run', async () => {
    const { stdout } = await cli([...inputs(ODD), '--dry-run']);
    expect(stdout).toContain('odd.jsonl (dry run): 15 of 23 traces');
    expect(await readdir(folder)).toEqual([]);
  });

  it.each(['SIGINT', 'SIGKILL'] as const)('goes on after %s, to the bytes of an unbroken run', async (signal) => {
    const traces = await readFile(DEMO_TRACES, 'utf8');
    await writeFile(join(folder, 'long.jsonl'), traces.repeat(6));
    const child = spawn(process.execPath, [BIN, ...inputs('long.jsonl')], { cwd: folder });
    const exit = new Promise((resolve) => child.on('exit', (code, killedBy) => resolve(killedBy ?? code)));
    while ((await checkpoints()) === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    child.kill(signal);
    expect(await exit).toBe(signal === 'SIGINT' ? 130 : 'SIGKILL');
    expect(await visibleFiles()).toEqual([]);

    expect((await cli(inputs('long.jsonl'))).stderr).toMatch(/^went on after \d+ traces/m);
    await cli([...inputs('long.jsonl'), '--output-file', 'unbroken']);
    expect(await visibleFiles()).toEqual(['long.jsonl', 'long.rejects.jsonl']);
    const [resumed, unbroken] = await Promise.all(
      ['out', 'unbroken'].map((name) => readFile(join(folder, name, 'long.jsonl'))),
    );
    expect(resumed!.equals(unbroken!)).toBe(true);
  });

  it('goes on with a pipe that holds the same lines, and with no other', async () => {
    const traces = (await readFile(DEMO_TRACES, 'utf8')).split('\n');
    const child = spawn(process.execPath, [BIN, ...inputs('-')], { cwd: folder });
    const exit = new Promise((resolve) => child.on('exit', resolve));
    child.stdin.write(traces.slice(0, 600).join('\n'));
    while ((await partialBytes('stdin')) === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    child.kill('SIGINT');
    expect(await exit).toBe(130);

    await cp(join(folder, 'out'), join(folder, 'copy'), { recursive: true });
    const other = await cli([...inputs('-'), '--output-file', 'copy'], traces.slice(1, 700).join('\n'));
    expect(other).toMatchObject({ code: 3, stderr: expect.stringMatching(/^error\[INPUT_CHANGED\]: /m) });
    expect(await readdir(join(folder, 'copy'))).toEqual([]);

    const same = await cli(inputs('-'), traces.slice(0, 700).join('\n'));
    expect(same).toMatchObject({ code: 0, stderr: expect.stringMatching(/^went on after \d+ traces/m) });
    const records = await readFile(join(folder, 'out/stdin.jsonl'));
    await cli([...inputs('-'), '--overwrite'], traces.slice(0, 700).join('\n'));
    expect((await readFile(join(folder, 'out/stdin.jsonl'))).equals(records)).toBe(true);
  });

  async function partialBytes(name: string): Promise<number> {
    return stat(join(folder, 'out', `.${name}.jsonl.partial`)).then(
      ({ size }) => size,
      () => 0,
    );
  }

  /** Lines of the journal behind its head. */
  async function checkpoints(): Promise<number> {
    const journal = await readFile(join(folder, 'out', '.long.jsonl.partial.journal'), 'utf8').catch(() => '');
    return Math.max(journal.split('\n').length - 2, 0);
  }

  async function visibleFiles(): Promise<string[]> {
    return (await readdir(join(folder, 'out'))).filter((name) => !name.startsWith('.')).sort();
  }
});

describe('scorer-preprocess grade', () => {
  const pairs = [
    { id: 1, equal: 'old', a: '0.5', b: '\\frac{1}{2}' },
    { id: 2, a: '10007', b: 10008 },
    { id: 3, a: null, b: 'x' },
  ];
  const flags = ['grade', '--input_file', 'pairs.jsonl', '--output_file', 'graded.jsonl', '--columns', 'a,b'];

  it('adds equal and rule to each line', async () => {
    await writeFile(join(folder, 'pairs.jsonl'), pairs.map((pair) => JSON.stringify(pair)).join('\n'));
    const { code, stdout } = await cli([...flags, '--json']);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ pairs: 3, equal: 1, rules: { 'no-answer': 1 } });
    const graded = (await readFile(join(folder, 'graded.jsonl'), 'utf8')).trimEnd().split('\n');
    expect(graded[0]).toMatch(/^\{"id": 1, "equal": true, "a": "0\.5", "b": "\\\\frac\{1\}\{2\}", "rule": "[\w-]+"\}$/);
    expect(graded.map((line) => JSON.parse(line).equal)).toEqual([true, false, false]);
    expect(graded.every((line) => typeof JSON.parse(line).rule === 'string')).toBe(true);
  });

  it("grades by the original's rules where asked", async () => {
    await writeFile(join(folder, 'pairs.jsonl'), pairs.map((pair) => JSON.stringify(pair)).join('\n'));
    const { stdout } = await cli([...flags, '--json', '--grader', 'original']);
    expect(JSON.parse(stdout)).toMatchObject({ pairs: 3, equal: 2 });
    expect((await cli(flags)).stderr).toContain('made with another grader');
  });

  it('answers bad columns and bad lines with one line and its exit code', async () => {
    await writeFile(join(folder, 'pairs.jsonl'), `${JSON.stringify(pairs[0])}\nnot json\n`);
    expect(await cli([...flags, '--columns', 'a'])).toMatchObject({ code: 2, stdout: '' });
    expect((await cli([...flags, '--columns', 'a,c'])).stderr).toMatch(
      /^error\[BAD_PAIR\]: the line has no c, pairs.jsonl:1/,
    );
    expect((await cli(flags)).stderr).toMatch(/^error\[NOT_JSON\]: .*pairs.jsonl:2\n$/);
    expect(await readdir(folder)).toEqual(['pairs.jsonl']);
  });
});
