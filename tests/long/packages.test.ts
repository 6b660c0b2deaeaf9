/**
 * Each package as its users get it: packed, installed by npm from the tarballs in an empty folder, run by npx and
 * imported, on the Node of this process and on a newer one, with install scripts left out and with them.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const MODEL = join(ROOT, 'apps/demo/data/model');
const TRACES = join(ROOT, 'apps/demo/data/traces.jsonl');
const NEWER_NODE = 24;
const TRACE_COUNT = 96;

let work: string;
/** Tarball of each package by its folder name. */
const tarballs: Record<string, string> = {};
/** `node` and `npm` for each version, by the folder to put in front of PATH ('' = this process's own). */
const nodes: Record<string, string> = { [`Node ${process.versions.node}`]: '' };

beforeAll(() => {
  work = mkdtempSync(join(tmpdir(), 'packages-'));
  const { packageManager } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  for (const name of ['core', 'preprocess', 'hidden-states', 'train']) {
    must('npx', ['--yes', packageManager, 'pack', '--pack-destination', work], { cwd: join(ROOT, 'packages', name) });
    tarballs[name] = join(work, readdirSync(work).find((file) => file.startsWith(`scorer-${name}-`))!);
  }
  const lines = readFileSync(TRACES, 'utf8').split('\n').slice(0, TRACE_COUNT);
  writeFileSync(join(work, 'raw.jsonl'), `${lines.join('\n')}\n`);
});

afterAll(() => rmSync(work, { recursive: true, force: true }));

describe.each([`Node ${process.versions.node}`, `Node ${NEWER_NODE}`])('on %s', (label) => {
  let path = '';

  beforeAll(() => {
    nodes[label] ??= installNode(NEWER_NODE);
    path = nodes[label];
  });

  test('@scorer/preprocess installs alone, without ONNX Runtime and TensorFlow, and makes step records', () => {
    const app = install('preprocess', { path, scripts: 'ignore' });
    expect(installedPackages(app).filter((name) => /onnxruntime|tensorflow|tfjs/.test(name))).toEqual([]);
    const files = ['--input_file', join(work, 'raw.jsonl'), '--output_file', join(app, 'pre')];
    const summary = npx(app, path, 'scorer-preprocess', [...files, '--tokenizer_path', MODEL]);
    expect(summary).toMatchObject({ traces_in: TRACE_COUNT });
    expect(importedNames(app, path, '@scorer/preprocess')).toContain('preprocessTrace');
  });

  test('@scorer/hidden-states installs alone and extracts', () => {
    const app = install('hidden-states', { path, scripts: 'ignore' });
    const files = [
      '--model_name',
      MODEL,
      '--input_path',
      join(work, 'steps.jsonl'),
      '--output_path',
      join(app, 'hs/raw'),
    ];
    writeFileSync(join(work, 'steps.jsonl'), stepRecords());
    const summary = npx(app, path, 'scorer-hidden-states', [...files, '--device', 'cpu']);
    expect(summary).toMatchObject({ traces: 5, failures: 0 });
    expect(importedNames(app, path, '@scorer/hidden-states')).toContain('extract');
    expect(npx(app, path, 'scorer-shards', ['stat', join(app, 'hs')])).toMatchObject({ traces: 5 });
  });

  test('@scorer/train installs alone and trains, with both pictures and the report', () => {
    const app = install('train', { path, scripts: 'ignore' });
    const flags = ['--train_dir', join(work, 'hs'), '--config_name', 'packed', '--epochs', '2', '--device', 'cpu'];
    const summary = npx(app, path, 'scorer-train', [...flags, '--out_dir', app]);
    expect(summary).toMatchObject({ auc: expect.any(Number), best_epoch: expect.any(Number) });
    expect(readdirSync(join(app, 'plots/packed')).sort()).toEqual([
      'loss_curves.png',
      'report.html',
      'validation_metrics.png',
    ]);
    expect(importedNames(app, path, '@scorer/train')).toContain('train');
  });

  beforeAll(() => {
    // Shards for the training test, made by the workspace's own build.
    if (existsSync(join(work, 'hs'))) return;
    const bin = (name: string): string => join(ROOT, 'packages', name, 'bin', `scorer-${name}.js`);
    const steps = join(work, 'pre', 'raw.jsonl');
    must(process.execPath, [
      bin('preprocess'),
      ...['--input_file', join(work, 'raw.jsonl'), '--output_file', join(work, 'pre'), '--tokenizer_path', MODEL],
    ]);
    must(process.execPath, [
      bin('hidden-states'),
      ...['--model_name', MODEL, '--input_path', steps, '--output_path', join(work, 'hs/raw')],
    ]);
  });
});

test('where the download of onnxruntime-node fails, one line says how to mend it, and that mends it', () => {
  const app = install('hidden-states', { path: '', scripts: 'run' });
  const files = [
    '--model_name',
    MODEL,
    '--input_path',
    join(work, 'steps.jsonl'),
    '--output_path',
    join(app, 'hs/raw'),
  ];
  const extract = ['scorer-hidden-states', ...files, '--json'];
  if (!existsSync(join(app, 'node_modules', 'onnxruntime-node'))) {
    const failed = spawnSync('npx', extract, { cwd: app, encoding: 'utf8' });
    expect(failed.status).toBe(3);
    const line = failed.stderr.split('\n').find((text) => text.startsWith('error'))!;
    expect(line).toMatch(/^error\[ONNXRUNTIME_MISSING\]/);
    const command = /run: (.*)$/.exec(line)![1]!;
    must('sh', ['-c', command], { cwd: app });
  }
  const { stdout } = must('npx', extract, { cwd: app });
  expect(JSON.parse(stdout)).toMatchObject({ traces: 5 });
});

test('every entry point and the README have types, strictly checked, as Node and as bundlers resolve them', () => {
  const names = ['preprocess', 'hidden-states', 'train'];
  const app = install(names, { path: '', scripts: 'ignore' });
  const entryPoints = ['core', ...names].flatMap((name) => {
    const { exports } = JSON.parse(readFileSync(join(app, 'node_modules/@scorer', name, 'package.json'), 'utf8'));
    const subpaths = Object.keys(exports).filter((key) => !key.endsWith('.json'));
    return subpaths.map((subpath) => `@scorer/${name}${subpath.slice(1)}`);
  });
  expect(entryPoints.length).toBeGreaterThan(15);
  writeFileSync(join(app, 'all.mts'), entryPoints.map((name, i) => `export * as m${i} from '${name}';\n`).join(''));
  const snippets = readFileSync(join(ROOT, 'README.md'), 'utf8').matchAll(/```js (\S+)\n([\s\S]*?)```/g);
  for (const [, name, code] of snippets) writeFileSync(join(app, `readme-${name}.mts`), code!);

  const compilerOptions = {
    strict: true,
    noUncheckedIndexedAccess: true,
    exactOptionalPropertyTypes: true,
    // The declarations of the packages are what is tested.
    skipLibCheck: false,
    noEmit: true,
    target: 'es2022',
    // The DOM is for onnxruntime-common's declarations.
    lib: ['es2023', 'esnext.disposable', 'dom'],
    typeRoots: [join(ROOT, 'node_modules/@types')],
    types: ['node'],
  };
  for (const [moduleResolution, module] of [
    ['nodenext', 'nodenext'],
    ['bundler', 'esnext'],
  ]) {
    const config = { compilerOptions: { ...compilerOptions, module, moduleResolution }, include: ['*.mts'] };
    writeFileSync(join(app, 'tsconfig.json'), JSON.stringify(config));
    must(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', app]);
  }
});

/** An empty folder with the packages and core's installed from their tarballs. */
function install(names: string | string[], { path, scripts }: { path: string; scripts: 'run' | 'ignore' }): string {
  const app = mkdtempSync(join(work, 'app-'));
  writeFileSync(join(app, 'package.json'), '{"private": true}');
  const flags = scripts === 'ignore' ? ['--ignore-scripts'] : [];
  const files = ['core', names].flat().map((name) => tarballs[name]!);
  must('npm', ['install', '--no-audit', '--no-fund', ...flags, ...files], { cwd: app, path });
  return app;
}

function npx(app: string, path: string, bin: string, args: string[]): unknown {
  return JSON.parse(must('npx', ['--no-install', bin, ...args, '--json'], { cwd: app, path }).stdout);
}

function importedNames(app: string, path: string, name: string): string[] {
  const script = `console.log(JSON.stringify(Object.keys(await import(${JSON.stringify(name)}))))`;
  return JSON.parse(must('node', ['--input-type=module', '-e', script], { cwd: app, path }).stdout);
}

function installedPackages(app: string): string[] {
  const lock = JSON.parse(readFileSync(join(app, 'node_modules', '.package-lock.json'), 'utf8'));
  return Object.keys(lock.packages);
}

/** @returns the folder that holds `node` of that major version, from npm's own packages of Node */
function installNode(major: number): string {
  const folder = join(work, `node-${major}`);
  mkdirSync(folder);
  writeFileSync(join(folder, 'package.json'), '{"private": true}');
  const platform = `${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`;
  must('npm', ['install', '--no-audit', '--no-fund', '--ignore-scripts', `node-${platform}@${major}`], { cwd: folder });
  return join(folder, 'node_modules', `node-${platform}`, 'bin');
}

function stepRecords(): string {
  return readFileSync(join(ROOT, 'packages/hidden-states/src/run/fixtures/steps.jsonl'), 'utf8');
}

function must(
  command: string,
  args: string[],
  { cwd = ROOT, path = '' }: { cwd?: string; path?: string } = {},
): { stdout: string } {
  const env = { ...process.env, PATH: path ? path + delimiter + process.env.PATH : process.env.PATH };
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, env, encoding: 'utf8' });
  if (status === 0) return { stdout };
  throw new Error(`${command} ${args.join(' ')} ended with ${status}\n${error ?? ''}\n${stdout}\n${stderr}`);
}
