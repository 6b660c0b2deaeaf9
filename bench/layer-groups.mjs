// A decoder with all its layers in memory beside the same with groups of layers: time, peak memory, equal bytes.
// Usage: node bench/layer-groups.mjs MODEL_FOLDER TRACES TOKENS GROUPS      (Linux, after pnpm build)
//        GROUPS with commas: 1,3,12. Prints a JSON line for each; a process for each, since the peak is the process's.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadModel, openDecoder } from '../packages/hidden-states/dist/index.js';
import { planLayerGroups } from '../packages/hidden-states/dist/memory/layer-groups.js';

const [folder, traceText, tokenText, groupText] = process.argv.slice(2);
const [traces, tokens] = [Number(traceText), Number(tokenText)];
const TOKENS_A_STEP = 28;

if (groupText.includes(',')) {
  const lines = groupText.split(',').map((groups) => {
    const args = [fileURLToPath(import.meta.url), folder, traceText, tokenText, groups];
    const line = execFileSync(process.execPath, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
    process.stdout.write(line);
    return JSON.parse(line);
  });
  const isSame = lines.every(({ states_sha256 }) => states_sha256 === lines[0].states_sha256);
  console.log(isSame ? 'the states are the same, bit for bit' : 'THE STATES DIFFER');
  process.exitCode = isSame ? 0 : 1;
} else {
  console.log(JSON.stringify(await measure(Number(groupText))));
}

async function measure(count) {
  const model = await loadModel(folder);
  const { layerCount, vocabularySize } = model.spec;
  const settings = { layers: [layerCount], storage: 'F16', compute: 'float32', device: 'cpu' };
  const { groups, estimate, batch } = planLayerGroups(model, settings, {
    count,
    longest: tokens,
    available: process.availableMemory(),
  });
  let seconds = { loading: 0 };
  const grouping = {
    groups,
    batchTokens: batch.tokens,
    memory: batch.memory,
    path: join(tmpdir(), `.layer-groups.${process.pid}`),
    onBatch: (times) => {
      seconds = times;
    },
  };
  const start = performance.now();
  const decoder = await openDecoder(model, { ...settings, ...(groups.length > 1 && { grouping }) });
  if (groups.length === 1) seconds = { loading: (performance.now() - start) / 1000 };

  const states = await Promise.all(Array.from({ length: traces }, (_, i) => decoder.hiddenStates(sequence(i))));
  const hash = createHash('sha256');
  for (const layers of states) for (const bytes of layers.values()) hash.update(bytes);
  const wall = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage();
  const peak = status('VmHWM');
  await decoder.close();
  const ofBatch = groups.length > 1 ? traces * tokens * model.spec.hiddenSize * 4 : 0;
  return {
    groups: groups.length,
    traces,
    tokens,
    wall_seconds: rounded(wall),
    loading_seconds: rounded(seconds.loading),
    cpu_seconds: rounded((user + system) / 1e6),
    peak_mib: mebibytes(peak),
    estimate_mib: mebibytes(estimate.model + tokens * estimate.perToken + ofBatch),
    states_sha256: hash.digest('hex'),
  };

  function sequence(seed) {
    const inputIds = Int32Array.from({ length: tokens }, (_, i) => ((i + 1) * 7919 + seed * 104_729) % vocabularySize);
    const positions = inputIds.map((_, i) => i).filter((i) => i % TOKENS_A_STEP === TOKENS_A_STEP - 1);
    return { inputIds, positions };
  }
}

/** Bytes of a line of /proc/self/status. */
function status(key) {
  return Number(new RegExp(`${key}:\\s+(\\d+)`).exec(readFileSync('/proc/self/status', 'utf8'))[1]) * 1024;
}

function mebibytes(bytes) {
  return Math.round(bytes / 2 ** 20);
}

function rounded(seconds) {
  return Math.round(seconds * 10) / 10;
}
