import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { appendFile, cp, mkdir, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { lockFile } from '@scorer/core/files';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type PreprocessOptions, preprocessFiles } from './preprocess-file.js';

const DEMO_MODEL = fileURLToPath(new URL('../../../apps/demo/data/model', import.meta.url));
const DEMO_TRACES = fileURLToPath(new URL('../../../apps/demo/data/traces.jsonl', import.meta.url));
const HALF_CHARACTERS = fileURLToPath(new URL('../../core/src/tokenizer/fixtures/half-characters', import.meta.url));
const fixture = (name: string): string => fileURLToPath(new URL(`./fixtures/${name}`, import.meta.url));

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'scorer-preprocess-'));
});
afterEach(() => rm(folder, { recursive: true }));

const out = (name = ''): string => join(folder, 'out', name);

/** Begins an output as a run does, and is killed. */
const WRITES_AND_DIES = `
  const { mkdir } = await import('node:fs/promises');
  const { dirname } = await import('node:path');
  const { createAtomicFile } = await import(process.env.FILES);
  await mkdir(dirname(process.env.TARGET));
  await (await createAtomicFile(process.env.TARGET)).write('half a line');
  process.kill(process.pid, 'SIGKILL');
`;
const FILES_MODULE = import.meta.resolve('@scorer/core/files');

function preprocess(input: string | string[], options: Partial<PreprocessOptions> = {}) {
  return preprocessFiles({
    inputFiles: [input].flat(),
    outputDir: out(),
    tokenizerPath: DEMO_MODEL,
    ...options,
  });
}

/** The first traces of the demo in a file of their own. */
async function demoFile(name: string, lines: number): Promise<string> {
  const text = (await readFile(DEMO_TRACES, 'utf8')).split('\n').slice(0, lines).join('\n');
  await writeFile(join(folder, name), `${text}\n`);
  return join(folder, name);
}

async function readRows(path: string): Promise<Record<string, unknown>[]> {
  return (await readFile(path, 'utf8'))
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
}

describe('preprocessFiles', () => {
  it('makes of odd traces, byte for byte, what the original rules make of them in Python', async () => {
    await preprocess(fixture('odd.jsonl'));
    expect(await readFile(out('odd.jsonl'), 'utf8')).toBe(await readFile(fixture('odd.records.jsonl'), 'utf8'));
  });

  it('accounts for every other line, with the line as it was', async () => {
    const { files } = await preprocess(fixture('odd.jsonl'));
    const input = (await readFile(fixture('odd.jsonl'), 'utf8')).split('\n');
    const rejects = await readRows(out('odd.rejects.jsonl'));
    expect(rejects.map(({ line, code }) => ({ line, code }))).toEqual(await readRows(fixture('odd.rejects.jsonl')));
    for (const { line, raw, reason } of rejects) {
      expect(raw).toBe(input[Number(line) - 1]);
      expect(reason).toEqual(expect.stringMatching(/\w+ \w+/));
    }
    expect(files[0]).toMatchObject({ traces_in: 23, traces_out: 15, rejects: { NO_ANSWER: 2, NO_THINK: 1 } });
  });

  it('counts traces, questions, tokens and steps', async () => {
    const { files } = await preprocess(await demoFile('demo.jsonl', 48));
    const records = await readRows(out('demo.jsonl'));
    const positions = records.map((record) => record.extracted_position as number[]);
    expect(files[0]).toMatchObject({
      traces_in: 48,
      traces_out: records.length,
      rejects: { NO_ANSWER: 48 - records.length },
      correct: records.filter((record) => record.is_correct).length,
      questions: new Set(records.map((record) => record.question)).size,
      steps: positions.flat().length,
    });
    const { tokens, tokens_per_trace, steps_per_trace } = files[0]!;
    expect(steps_per_trace.max).toBe(Math.max(...positions.map((steps) => steps.length)));
    expect(tokens).toBeGreaterThan(records.length * tokens_per_trace.min);
    expect(tokens).toBeLessThan(records.length * tokens_per_trace.max);
  });

  it('reads gzip as the plain file', async () => {
    const plain = await demoFile('plain.jsonl', 5);
    await writeFile(join(folder, 'packed.jsonl.gz'), gzipSync(await readFile(plain)));
    await preprocess([plain, join(folder, 'packed.jsonl.gz')]);
    expect(await readFile(out('packed.jsonl'))).toEqual(await readFile(out('plain.jsonl')));
  });

  it('keeps further fields behind the nine, where asked', async () => {
    const [first] = await readRows(await demoFile('demo.jsonl', 1));
    await writeFile(join(folder, 'more.jsonl'), JSON.stringify({ sample: 3, ...first, seed: { a: 1 }, other: 'x' }));
    await preprocess(join(folder, 'more.jsonl'), { keep: ['seed', 'sample', 'absent'] });
    const [record] = await readRows(out('more.jsonl'));
    expect(Object.keys(record!).slice(8)).toEqual(['extracted_position', 'seed', 'sample']);
    expect(record).toMatchObject({ sample: 3, seed: { a: 1 } });
  });

  it('rejects a question that the template refuses, and a text that a cut inside a character would change', async () => {
    const model = join(folder, 'model');
    await cp(HALF_CHARACTERS, model, { recursive: true });
    const template = "{% if messages[-1].content == 'Bad?' %}{{ raise_exception('bad question') }}{% endif %}Q:";
    await writeFile(join(model, 'chat_template.jinja'), template);
    const trace = { question: 'Good?', response: '<think>.\n\nYes', ground_truth: '1', extracted_answer: '1' };
    const traces = [trace, { ...trace, question: 'Bad?' }, { ...trace, response: '<think>One.\n\n\u{1f600}' }];
    await writeFile(join(folder, 'mixed.jsonl'), traces.map((row) => JSON.stringify(row)).join('\n'));
    await preprocess(join(folder, 'mixed.jsonl'), { tokenizerPath: model });
    expect(await readRows(out('mixed.jsonl'))).toHaveLength(1);
    expect(await readRows(out('mixed.rejects.jsonl'))).toMatchObject([
      { line: 2, code: 'TEMPLATE_REFUSED', reason: 'bad question' },
      { line: 3, code: 'SEGMENTS_MISMATCH' },
    ]);
  });

  it('refuses to keep a field that would replace one of the nine', async () => {
    await expect(preprocess(DEMO_TRACES, { keep: ['prompt'] })).rejects.toMatchObject({
      code: 'FIELD_TAKEN',
      kind: 'usage',
    });
  });

  it('reads no further than the limit', async () => {
    const { files } = await preprocess(DEMO_TRACES, { limit: 3 });
    expect(files[0]).toMatchObject({ traces_in: 3 });
  });

  it('takes a response without <think> where the template opens it', async () => {
    const { files } = await preprocess(fixture('odd.jsonl'), { thinkOpen: 'optional' });
    expect(files[0]).toMatchObject({ traces_out: 16 });
    expect(files[0]?.rejects).not.toHaveProperty('NO_THINK');
  });

  it('warns where no token can end a step', async () => {
    const warnings: string[] = [];
    const onWarning = (warning: string): void => void warnings.push(warning);
    const { files } = await preprocess(await demoFile('demo.jsonl', 2), { stepSeparator: '\n'.repeat(6), onWarning });
    expect(warnings).toEqual([expect.stringContaining('no token')]);
    expect(files[0]).toMatchObject({ steps: 0 });
  });

  it('leaves nothing behind where no line can be used, and says why', async () => {
    const input = join(folder, 'bad.jsonl');
    await writeFile(input, '\n{"question": "Q"}\n');
    await expect(preprocess(input)).rejects.toMatchObject({
      code: 'NO_USABLE_LINE',
      kind: 'input',
      message: expect.stringContaining('line 2: MISSING_FIELD'),
    });
    expect(await readdir(out())).toEqual([]);
  });

  it('names --think-open where the template writes <think> itself', async () => {
    const model = join(folder, 'thinking-model');
    await cp(DEMO_MODEL, model, { recursive: true });
    await writeFile(join(model, 'chat_template.jinja'), '{{ messages[-1].content }}<think>\n');
    const input = join(folder, 'open.jsonl');
    const trace = { question: 'Q', response: 'So 5.</think>5', ground_truth: '5', extracted_answer: '5' };
    await writeFile(input, JSON.stringify(trace));
    await expect(preprocess(input, { tokenizerPath: model })).rejects.toMatchObject({
      hint: expect.stringContaining('--think-open optional'),
    });
  });

  const row = { question: 'Q', response: '<think>2 + 3.</think>\\boxed{5}', ground_truth: '5' };
  it.each([
    ['--answer-from-response', JSON.stringify(row)],
    ['--think-tags', JSON.stringify({ ...row, response: '2 + 3 is 5.', extracted_answer: '5' })],
    ['jq -c', JSON.stringify([row])],
    ['jq -c', JSON.stringify([row], null, 2)],
  ])('names what may help where no line can be used: %s (%#)', async (help, text) => {
    const input = join(folder, 'lacking.jsonl');
    await writeFile(input, text);
    await expect(preprocess(input)).rejects.toMatchObject({ hint: expect.stringContaining(help) });
  });

  it('reports progress up to the last line', async () => {
    const seen: unknown[] = [];
    await preprocess(await demoFile('demo.jsonl', 3), { onProgress: (progress) => seen.push(progress) });
    expect(seen.at(-1)).toEqual({ stage: 'preprocessing', done: 3, total: 3, unit: 'lines' });
  });
});

describe('preprocessFiles with other rules', () => {
  const trace = {
    question: 'Q',
    response: '<think>1.\n\n2.\n\n</think>\\boxed{5}',
    ground_truth: '5',
    extracted_answer: '5',
  };
  async function run(rows: object[], options: Partial<PreprocessOptions>) {
    await writeFile(join(folder, 'rows.jsonl'), rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
    const { files } = await preprocess(join(folder, 'rows.jsonl'), options);
    return { records: await readRows(out('rows.jsonl')), rejects: files[0]!.rejects };
  }

  it('refuses and counts traces with too many tokens', async () => {
    const long = { ...trace, response: `<think>${'one two '.repeat(200)}` };
    expect(await run([trace, long], { maxTokens: 200 })).toMatchObject({
      records: [{ full_text: trace.response }],
      rejects: { TOO_MANY_TOKENS: 1 },
    });
  });

  it('takes the label from a field, and refuses lines without it', async () => {
    const rows = [{ ...trace, ok: false }, { ...trace, ok: 1 }, trace, { ...trace, ok: 'yes' }];
    expect(await run(rows, { isCorrectField: 'ok' })).toMatchObject({
      records: [{ is_correct: false }, { is_correct: true }],
      rejects: { MISSING_FIELD: 1, INVALID_FIELD: 1 },
    });
  });

  it('takes a missing answer from the response, and no other', async () => {
    const rows = [
      { ...trace, extracted_answer: null },
      { ...trace, extracted_answer: '6' },
      { ...trace, extracted_answer: undefined, response: '<think>none' },
    ];
    expect(await run(rows, { answerFromResponse: true })).toMatchObject({
      records: [
        { extracted_answer: '5', is_correct: true },
        { extracted_answer: '6', is_correct: false },
      ],
      rejects: { NO_ANSWER: 1 },
    });
  });

  it("grades by the original's rules where asked", async () => {
    const rows = [{ ...trace, extracted_answer: '10007', ground_truth: '10008' }];
    expect(await run(rows, { grader: 'original' })).toMatchObject({ records: [{ is_correct: true }] });
    expect(await run(rows, { overwrite: 'replace' })).toMatchObject({ records: [{ is_correct: false }] });
  });

  it('cuts at other tags', async () => {
    const other = { ...trace, response: '[THINK]so <think>[/THINK]5' };
    const { records, rejects } = await run([other, trace], { thinkTags: { open: '[THINK]', close: '[/THINK]' } });
    expect(records).toMatchObject([{ forward_text: '[THINK]so <think>' }]);
    expect(rejects).toEqual({ NO_THINK: 1 });
  });

  it('only counts in a dry run, whatever stands there', async () => {
    const input = await demoFile('demo.jsonl', 5);
    const dry = await preprocess(input, { dryRun: true });
    expect(existsSync(out())).toBe(false);
    const wet = await preprocess(input);
    expect(dry.files).toEqual(wet.files);
    expect((await preprocess(input, { dryRun: true, maxTokens: 10_000 })).files).toEqual(wet.files);
  });

  it('takes the files that a pattern matches, in name order', async () => {
    for (const name of ['b.jsonl', 'a.jsonl', '[c].jsonl', 'd.txt']) await demoFile(name, 1);
    const named = async (pattern: string) =>
      (await preprocess(join(folder, pattern), { dryRun: true })).files.map(({ input_file }) => input_file);
    expect(await named('*.jsonl')).toEqual(['[c].jsonl', 'a.jsonl', 'b.jsonl'].map((name) => join(folder, name)));
    expect(await named('[c].jsonl')).toEqual([join(folder, '[c].jsonl')]);
    await expect(named('*.csv')).rejects.toMatchObject({ code: 'NO_MATCH' });
  });
});

describe('preprocessFiles after a stop', () => {
  const HIDDEN = ['.traces.jsonl.partial', '.traces.jsonl.partial.journal', '.traces.rejects.jsonl.partial'];

  /** A few batches. */
  let input: string;
  beforeEach(async () => {
    input = await demoFile('traces.jsonl', 700);
  });

  /** Runs over the demo's traces until some lines are done. Returns how many. */
  async function stopAfter(lines: number): Promise<number> {
    const controller = new AbortController();
    let reached = 0;
    const run = preprocess(input, {
      signal: controller.signal,
      onProgress: ({ done }) => {
        reached = done;
        if (done >= lines) controller.abort();
      },
    });
    await expect(run).rejects.toThrow(/abort/);
    return reached;
  }

  async function unbroken(): Promise<Buffer[]> {
    await preprocess(input, { outputDir: join(folder, 'unbroken') });
    return Promise.all(
      ['traces.jsonl', 'traces.rejects.jsonl'].map((name) => readFile(join(folder, 'unbroken', name))),
    );
  }

  it('goes on where it stopped, and makes what an unbroken run makes', async () => {
    const reached = await stopAfter(20);
    expect((await readdir(out())).sort()).toEqual(HIDDEN);

    const progress: number[] = [];
    const { files, resumed } = await preprocess(input, { onProgress: ({ done }) => progress.push(done) });
    expect(resumed.traces).toBe(reached);
    expect(progress[0]).toBeGreaterThan(reached);
    expect(await Promise.all(['traces.jsonl', 'traces.rejects.jsonl'].map((name) => readFile(out(name))))).toEqual(
      await unbroken(),
    );
    expect(files).toMatchObject((await preprocess(input)).files);
    expect((await readdir(out())).sort()).toEqual(['.traces.preprocess.json', 'traces.jsonl', 'traces.rejects.jsonl']);
  });

  it('cuts off what a killed run had begun to write', async () => {
    await stopAfter(20);
    for (const name of HIDDEN) await appendFile(out(name), '{"half a line');
    await preprocess(input);
    expect(await readFile(out('traces.jsonl'))).toEqual((await unbroken())[0]);
  });

  it('begins anew where the partial files are shorter than the journal says', async () => {
    await stopAfter(20);
    await truncate(out('.traces.jsonl.partial'), 10);
    await preprocess(input);
    expect(await readFile(out('traces.jsonl'))).toEqual((await unbroken())[0]);
  });

  it('begins anew with other settings', async () => {
    await stopAfter(20);
    await preprocess(input, { systemPrompt: null });
    const [first] = await readRows(out('traces.jsonl'));
    expect(first!.prompt).toMatch(/^<\|im_start\|>user/);
  });

  it('keeps two runs from making one output', async () => {
    await mkdir(out());
    const lock = await lockFile(out('demo.jsonl'));
    const demo = await demoFile('demo.jsonl', 2);
    await expect(preprocess(demo)).rejects.toMatchObject({ code: 'OUTPUT_LOCKED', kind: 'retryable' });
    await lock!.release();
    await preprocess(demo);
  });
});

describe('preprocessFiles run again', () => {
  it('repeats its result and leaves the files alone', async () => {
    const input = await demoFile('demo.jsonl', 5);
    const first = await preprocess(input);
    const before = await stat(out('demo.jsonl'));
    const second = await preprocess(input);
    expect(second.files).toEqual(first.files);
    expect(first.alreadyDone).toEqual([]);
    expect(second.alreadyDone).toEqual([out('demo.jsonl')]);
    expect((await stat(out('demo.jsonl'))).ino).toBe(before.ino);
  });

  it('goes on where an output is still missing', async () => {
    const input = await demoFile('demo.jsonl', 5);
    await preprocess(input);
    const records = await readFile(out('demo.jsonl'));
    await rm(out('demo.jsonl'));
    expect((await preprocess(input)).alreadyDone).toEqual([]);
    expect(await readFile(out('demo.jsonl'))).toEqual(records);
  });

  const refused = expect.objectContaining({ code: 'OUTPUT_EXISTS', kind: 'input' });

  it('refuses an output that was made with other settings, and names the setting', async () => {
    const input = await demoFile('demo.jsonl', 5);
    await preprocess(input);
    await expect(preprocess(input, { systemPrompt: null })).rejects.toEqual(refused);
    await expect(preprocess(input, { limit: 2 })).rejects.toThrow('made with another limit');
  });

  it('refuses an output that was made from another input', async () => {
    const input = await demoFile('demo.jsonl', 5);
    await preprocess(input);
    await demoFile('demo.jsonl', 6);
    await expect(preprocess(input)).rejects.toThrow('made from another input');
  });

  it('refuses an output that was changed, and one that is not its own', async () => {
    const input = await demoFile('demo.jsonl', 5);
    await preprocess(input);
    await appendFile(out('demo.jsonl'), '{}\n');
    await expect(preprocess(input)).rejects.toThrow('changed after it was made');

    const other = await demoFile('other.jsonl', 5);
    await writeFile(out('other.jsonl'), 'precious');
    await expect(preprocess(other)).rejects.toEqual(refused);
    expect(await readFile(out('other.jsonl'), 'utf8')).toBe('precious');
  });

  it('replaces what is there with overwrite', async () => {
    const input = await demoFile('demo.jsonl', 5);
    await mkdir(out());
    await writeFile(out('demo.jsonl'), 'old');
    await preprocess(input, { overwrite: 'replace' });
    expect(await readRows(out('demo.jsonl'))).toHaveLength(5);
    expect((await preprocess(input)).alreadyDone).toHaveLength(1);
  });

  it('removes what a killed run left', async () => {
    const input = await demoFile('demo.jsonl', 2);
    const killed = spawnSync(process.execPath, ['--input-type=module', '-e', WRITES_AND_DIES], {
      env: { ...process.env, TARGET: join(folder, 'out', 'demo.jsonl'), FILES: FILES_MODULE },
    });
    expect(killed.signal).toBe('SIGKILL');
    expect(await readdir(out())).toEqual([expect.stringMatching(/^\.demo\.jsonl\..+\.tmp$/)]);
    await preprocess(input);
    expect((await readdir(out())).sort()).toEqual(['.demo.preprocess.json', 'demo.jsonl', 'demo.rejects.jsonl']);
  });
});

describe('preprocessFiles with paths that clash', () => {
  it('refuses two inputs that become one output', async () => {
    const inputs = [await demoFile('x.jsonl', 1), await demoFile('x.json', 1)];
    await expect(preprocess(inputs)).rejects.toMatchObject({ code: 'SAME_OUTPUT', kind: 'usage' });
    const crossed = [await demoFile('x.jsonl', 1), await demoFile('x.rejects.jsonl', 1)];
    await expect(preprocess(crossed)).rejects.toMatchObject({ code: 'SAME_OUTPUT' });
    expect(existsSync(out())).toBe(false);
  });

  it('never writes over its input', async () => {
    const input = await demoFile('x.jsonl', 1);
    await expect(preprocess(input, { outputDir: folder, overwrite: 'replace' })).rejects.toMatchObject({
      code: 'OUTPUT_IS_INPUT',
      kind: 'usage',
    });
  });

  it('says which input is missing before any work', async () => {
    const missing = join(folder, 'missing.jsonl');
    await expect(preprocess([await demoFile('x.jsonl', 1), missing])).rejects.toMatchObject({
      code: 'FILE_NOT_FOUND',
      where: missing,
    });
    expect(existsSync(out())).toBe(false);
  });
});
