/** The demo as a user runs it, and what Python makes of its files. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const OUT = join(ROOT, 'apps/demo/out');

beforeAll(() => rmSync(OUT, { recursive: true, force: true }));

test('the demo goes from raw traces to a table of metrics and a report, and run again repeats its result', () => {
  const first = demo();
  expect(first).toMatch(/AUC +0\.\d+/);
  const report = /Open the report: (.*report\.html)/.exec(first)![1]!;
  expect(readFileSync(report, 'utf8')).toContain('tiny_reasoner_demo');
  expect(first).toMatch(/majority vote +\d+\.\d %.*\nweighted vote .*\nearly stopping +saves -?\d+\.\d %/);
  expect(readFileSync(join(OUT, 'scores/tiny_reasoner_demo.html'), 'utf8')).toContain('tiny_reasoner_demo');
  expect(readdirSync(join(OUT, 'plots/tiny_reasoner_demo')).sort()).toEqual([
    'loss_curves.png',
    'report.html',
    'validation_metrics.png',
  ]);

  const metrics = readFileSync(join(OUT, 'checkpoints/tiny_reasoner_demo/metrics.json'));
  const again = demo();
  expect(readFileSync(join(OUT, 'checkpoints/tiny_reasoner_demo/metrics.json'))).toEqual(metrics);
  expect(/AUC +0\.\d+/.exec(again)![0]).toBe(/AUC +0\.\d+/.exec(first)![0]);
});

const python = installSafetensors();

test.skipIf(!python)(
  'Python reads a shard with the lines of docs/formats.md (skipped where pip cannot install)',
  () => {
    const shard = join(OUT, 'states', readdirSync(join(OUT, 'states')).find((name) => name.endsWith('.safetensors'))!);
    const [, code] = /```python\n([\s\S]*?)```/.exec(readFileSync(join(ROOT, 'docs/formats.md'), 'utf8'))!;
    const script = code!.replace(/"[^"]+\.safetensors"/, JSON.stringify(shard));
    const { status, stdout, stderr } = spawnSync(python!, ['-c', script], { encoding: 'utf8' });
    expect(stderr).toBe('');
    expect(status).toBe(0);
    expect(stdout).toMatch(/\(\d+, 192\)/);
  },
);

function demo(): string {
  const script = join(ROOT, 'apps/demo/dist/demo.js');
  const { status, stdout, stderr } = spawnSync(process.execPath, [script], { encoding: 'utf8' });
  expect(status, stderr).toBe(0);
  return stdout;
}

/** A virtual environment with safetensors and numpy; undefined where Python or its packages can't be had. */
function installSafetensors(): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'venv-'));
  spawnSync('python3', ['-m', 'venv', folder]);
  const executable = join(folder, 'bin', 'python');
  const { status } = spawnSync(executable, ['-m', 'pip', 'install', '-q', 'safetensors', 'numpy']);
  return status === 0 && existsSync(executable) ? executable : undefined;
}
