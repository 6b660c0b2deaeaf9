import { execFile, spawn } from 'node:child_process';
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const BIN = fileURLToPath(new URL('../bin/scorer-preprocess.js', import.meta.url));
const DEMO_MODEL = fileURLToPath(new URL('../../../apps/demo/data/model', import.meta.url));
const DEMO_TRACES = fileURLToPath(new URL('../../../apps/demo/data/traces.jsonl', import.meta.url));
const ODD = fileURLToPath(new URL('./fixtures/odd.jsonl', import.meta.url));

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
    const child = execFile(process.execPath, [BIN, ...args], { cwd: folder }, (error, stdout, stderr) =>
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
    ['an empty separator', [...inputs(ODD), '--step-separator', ''], 2, 'BAD_OPTION'],
    ['a missing input file', inputs('missing.jsonl'), 3, 'FILE_NOT_FOUND'],
    ['a folder as input', inputs('.'), 3, 'IS_A_FOLDER'],
    ['a file without any JSON', inputs(BIN), 3, 'NO_USABLE_LINE'],
    ['a folder without a tokenizer', [...inputs(ODD), '--tokenizer-path', '.'], 3, 'TOKENIZER_NOT_FOUND'],
  ];
  it.each(failures)('answers %s with a line that names it and with its exit code', async (_, args, code, errorCode) => {
    const result = await cli(args);
    expect(result).toMatchObject({ code, stdout: '' });
    expect(result.stderr.trimEnd().split('\n').at(-1)).toMatch(new RegExp(`^error\\[${errorCode}\\]: `));
  });

  it('stops cleanly at SIGINT', async () => {
    const traces = (await readFile(DEMO_TRACES, 'utf8')).repeat(20);
    await writeFile(join(folder, 'long.jsonl'), traces);
    const child = spawn(process.execPath, [BIN, ...inputs('long.jsonl')], { cwd: folder });
    const exit = new Promise((resolve) => child.on('exit', resolve));
    // The temporary files show that it is at work.
    while (!(await temporaryFiles()).length) await new Promise((resolve) => setTimeout(resolve, 20));
    child.kill('SIGINT');
    expect(await exit).toBe(130);
    expect(await readdir(join(folder, 'out'))).toEqual([]);
  });

  async function temporaryFiles(): Promise<string[]> {
    const names = await readdir(join(folder, 'out')).catch(() => []);
    return names.filter((name) => name.endsWith('.tmp'));
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
