import { dirname, join } from 'node:path';
import { ScorerError } from '@scorer/core/errors';
import { createAtomicFile } from '@scorer/core/files';
import { type Device, resolveDevice } from '@scorer/core/onnx';
import { loadModel, modelFingerprint } from '@scorer/hidden-states';
import type { Redis } from 'ioredis';
import { settleProfile } from '../queue/registry.js';
import type { Run } from '../run/manifest.js';
import { checkFolderInsideRoots, fromRootPath } from '../run/roots.js';
import { checkProfile, measureProfile } from './profile.js';
import type { WorkOptions } from './work.js';

/**
 * Looks whether this machine makes the bytes that the run's first one makes, and can store them.
 * @returns paths of the step records and the model as this machine sees them, and where it computes
 * @throws ScorerError `WORKER_DIFFERS`, `MODEL_NAME_DIFFERS`, `DISK_FULL` (retryable), the codes of `fromRootPath`
 */
export async function admit(
  redis: Redis,
  run: Run,
  options: WorkOptions,
): Promise<{ input: string; model: string; device: Device }> {
  const { manifest } = run;
  const input = await fromRootPath(manifest.input, options.roots);
  const path = options.model ?? (await fromRootPath(manifest.model.path, options.roots));
  const model = await loadModel(path, { ignoreKeys: manifest.ignore_config_keys });
  // What this machine's user names is trusted, what comes from elsewhere is not.
  if (options.model === undefined) await checkFolderInsideRoots(model.folder, options.roots);
  const device = await resolveDevice(options.device ?? manifest.device);
  const fingerprint = await modelFingerprint(model, { signal: options.signal });
  const profile = await measureProfile(fingerprint, { device, threads: options.threads });

  // A wrong model must not become the measure of all others.
  const allowed = options.allowMixed ?? [];
  checkProfile(profile, { ...profile, model: manifest.model.fingerprint }, allowed);
  // A worker on a full disk would otherwise find that out at the cost of the shards' attempts.
  await probeDisk(dirname(run.output));
  const first = await settleProfile(redis, run.id, { ...profile, model: manifest.model.fingerprint });
  const differences = checkProfile(profile, first, allowed);
  if (model.name !== manifest.model.name) throw nameDiffers(path, manifest.model.name);
  if (differences.length > 0) options.onWarning?.(`a mixed run: ${differences.join('; ')}`);
  return { input, model: path, device };
}

const PROBE_BYTES = 1024 ** 2;

/** @throws ScorerError `DISK_FULL`, `NO_PERMISSION`, … */
async function probeDisk(folder: string): Promise<void> {
  const file = await createAtomicFile(join(folder, 'probe'));
  try {
    await file.write(new Uint8Array(PROBE_BYTES));
  } finally {
    await file.discard();
  }
}

/** The name stands in every shard, so that it would make other bytes. */
function nameDiffers(where: string, name: string): ScorerError {
  const hint = `give this machine's copy of the model the name ${name} too`;
  return new ScorerError({
    code: 'MODEL_NAME_DIFFERS',
    what: 'the model has another name than in the run',
    where,
    hint,
  });
}
