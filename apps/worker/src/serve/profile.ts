import { readdir, readFile } from 'node:fs/promises';
import { availableParallelism, cpus } from 'node:os';
import { ScorerError } from '@scorer/core/errors';
import { type Device, deviceKind, tryDevice } from '@scorer/core/onnx';
import type { Profile } from '../queue/registry.js';

/** In what a worker may differ from its run where that is allowed. Of another model no scorer could use the shards. */
export const MIXABLE = ['device', 'processor', 'runtime', 'threads'] as const;
export type Mixable = (typeof MIXABLE)[number];

/** @param threads as asked for; ONNX Runtime's own choice where left out */
export async function measureProfile(
  model: string,
  { device, threads }: { device: Device; threads: number | undefined },
): Promise<Profile> {
  return {
    model,
    device: deviceKind(device),
    processor: device === 'cpu' ? (cpus()[0]?.model ?? 'unknown') : await graphicsProcessor(),
    runtime: await tryDevice(device),
    threads: threads ?? availableParallelism(),
  };
}

/**
 * A worker of another kind would make other bytes: of a wrong model wrong ones, of another processor slightly others.
 * @returns the differences, all of which are allowed
 * @throws ScorerError `WORKER_DIFFERS`
 */
export function checkProfile(own: Profile, run: Profile, allowed: readonly Mixable[]): string[] {
  const differences = (['model', ...MIXABLE] as const).filter((part) => own[part] !== run[part]);
  const described = differences.map((part) => `its ${part}: ${own[part]}, the run's: ${run[part]}`);
  const refused = differences.filter((part) => part === 'model' || !allowed.includes(part));
  if (refused.length === 0) return described;
  throw new ScorerError({
    code: 'WORKER_DIFFERS',
    what: 'this worker would make other bytes than the rest of the run',
    where: described.join('; '),
    hint: refused.includes('model')
      ? 'give it the model that was submitted'
      : `use an equal machine, or allow it with --allow-mixed ${refused.join(',')}`,
  });
}

const NVIDIA_DRIVER = '/proc/driver/nvidia/gpus';

/** The models of the machine's GPUs, as the driver names them. */
async function graphicsProcessor(): Promise<string> {
  const folders = await readdir(NVIDIA_DRIVER).catch(() => []);
  const models = await Promise.all(
    folders.map(async (folder) => {
      const text = await readFile(`${NVIDIA_DRIVER}/${folder}/information`, 'utf8').catch(() => '');
      return /^Model:\s*(.+)$/m.exec(text)?.[1];
    }),
  );
  return [...new Set(models.filter(Boolean))].sort().join(' + ') || 'unknown GPU';
}
