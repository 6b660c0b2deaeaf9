/** The files of deploy/, without the clusters: their form, and that their commands are ones that exist. */
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Deployment, StatefulSet } from 'kubernetes-models/apps/v1';
import { Job } from 'kubernetes-models/batch/v1';
import { Service } from 'kubernetes-models/v1';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { z } from 'zod';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const DEPLOY = join(ROOT, 'deploy');
const read = (name: string): string => readFileSync(join(DEPLOY, name), 'utf8');

const PROGRAMS = {
  'scorer-worker': join(ROOT, 'apps/worker/bin/scorer-worker.js'),
  'scorer-hidden-states': join(ROOT, 'packages/hidden-states/bin/scorer-hidden-states.js'),
};
type Program = keyof typeof PROGRAMS;

/** Every flag of a command line is one of its command's. */
function expectFlags(program: Program, args: readonly string[]): void {
  const command = args[0]?.startsWith('-') ? [] : args.slice(0, 1);
  const help = helpOf(program, command);
  const flags = args.filter((arg) => arg.startsWith('--')).map((arg) => arg.split('=')[0]!);
  expect(flags.length).toBeGreaterThan(0);
  for (const flag of flags) expect(help, `${program} ${command}`).toMatch(new RegExp(`${flag}(?![\\w-])`));
}

const helpTexts = new Map<string, string>();

function helpOf(program: Program, command: readonly string[]): string {
  const key = [program, ...command].join(' ');
  const known = helpTexts.get(key);
  if (known !== undefined) return known;
  const { stdout } = spawnSync(process.execPath, [PROGRAMS[program], ...command, '--help'], { encoding: 'utf8' });
  helpTexts.set(key, stdout);
  return stdout;
}

const objectSchema = z.object({ kind: z.string(), metadata: z.object({ name: z.string() }) });

describe('Kubernetes', () => {
  const objectsOf = (name: string) => parseAllDocuments(read(name)).map((document) => document.toJS() as unknown);
  const KINDS = { Job, Deployment, StatefulSet, Service };

  test.each(['kubernetes-static.yaml', 'kubernetes-workers.yaml'])('%s follows the schemas of Kubernetes', (name) => {
    for (const object of objectsOf(name)) {
      const { kind } = objectSchema.parse(object);
      const Kind = KINDS[kind as keyof typeof KINDS] as typeof Job;
      expect(() => new Kind(object as object).validate(), kind).not.toThrow();
    }
  });

  test('the indexed job deals as many parts as it has pods, to a command that takes them', () => {
    const [job] = objectsOf('kubernetes-static.yaml') as [
      { spec: { completions: number; template: { spec: { containers: [{ command: [Program]; args: string[] }] } } } },
    ];
    const [{ command, args }] = job.spec.template.spec.containers;
    expect(args).toContain(`--shard=$(JOB_COMPLETION_INDEX)/${job.spec.completions}`);
    expectFlags(command[0], args);
  });

  test('the workers have more time to stop than they take', () => {
    const deployment = objectsOf('kubernetes-workers.yaml').find(
      (object) => objectSchema.parse(object).kind === 'Deployment',
    );
    const { containers, terminationGracePeriodSeconds: grace } = (
      deployment as {
        spec: { template: { spec: { containers: [{ args: string[] }]; terminationGracePeriodSeconds: number } } };
      }
    ).spec.template.spec;
    const [{ args }] = containers;
    expectFlags('scorer-worker', args);
    expect(grace).toBeGreaterThan(Number(/--drain=(\d+)/.exec(args.join(' '))![1]) + 20);
  });
});

test('compose: every service that computes is a worker, and Redis asks for a password and keeps a log', () => {
  const { services } = parse(read('compose.yaml'), { merge: true }) as {
    services: Record<string, { command: string[]; image: string; depends_on?: object; stop_grace_period?: string }>;
  };
  for (const [name, { command, image, stop_grace_period }] of Object.entries(services)) {
    if (name === 'redis') continue;
    expect(image, name).toBe('scorer-worker');
    expectFlags('scorer-worker', command);
    expect(Number.parseInt(stop_grace_period!, 10)).toBeGreaterThan(Number(command[command.indexOf('--drain') + 1]));
  }
  expect(Object.keys(services)).toEqual(['redis', 'worker-cpu', 'worker-gpu-0', 'worker-gpu-1']);
  expect(services.redis!.command).toEqual(expect.arrayContaining(['--requirepass', '--appendonly', 'noeviction']));
});

describe('Slurm', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'slurm-'));
    program('srun', 'exec "$@"');
    program('scontrol', `echo "$@" >> ${folder}/requeued`);
    for (const name of Object.keys(PROGRAMS)) program(name, `printf '%s\\n' "$@" > ${folder}/args; exit $STATUS`);
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  function program(name: string, body: string): void {
    writeFileSync(join(folder, name), `#!/bin/bash\n${body}\n`);
    chmodSync(join(folder, name), 0o755);
  }

  function submit(script: string, status: number) {
    const array = { SLURM_ARRAY_JOB_ID: '77', SLURM_ARRAY_TASK_ID: '3', SLURM_ARRAY_TASK_COUNT: '64' };
    const settings = { MODEL: '/shared/m', INPUT: '/shared/i', OUTPUT: '/shared/o', RUN: '1234', HOME: '/home/me' };
    const path = `${folder}${delimiter}${process.env.PATH}`;
    const env = { ...array, ...settings, PATH: path, STATUS: String(status) };
    const { status: ended, stderr } = spawnSync('bash', [join(DEPLOY, script)], { env, encoding: 'utf8' });
    expect(stderr).toBe('');
    expect(ended).toBe(status);
    const args = readFileSync(join(folder, 'args'), 'utf8').trim().split('\n');
    const requeued = readdirSync(folder).includes('requeued') && readFileSync(join(folder, 'requeued'), 'utf8').trim();
    return { args, requeued };
  }

  test.each([
    ['slurm-static.sh', 'scorer-hidden-states'],
    ['slurm-workers.sh', 'scorer-worker'],
  ] as const)(
    '%s goes back into the queue when it can go on, and not when it is done or never will',
    (script, name) => {
      const { args, requeued } = submit(script, 4);
      expectFlags(name, args);
      expect(requeued).toBe('requeue 77_3');
      rmSync(join(folder, 'requeued'));
      expect(submit(script, 143).requeued).toBe('requeue 77_3');
      rmSync(join(folder, 'requeued'));
      for (const status of [0, 2, 3]) expect(submit(script, status).requeued).toBe(false);
    },
  );

  test('the array makes the parts that it has tasks for', () => {
    expect(submit('slurm-static.sh', 0).args.join(' ')).toContain('--shard 3/64');
  });
});
