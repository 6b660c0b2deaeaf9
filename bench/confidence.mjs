// Token confidence on the CPU beside PyTorch: time and peak memory with a vocabulary of 152,000 tokens.
// Usage: node bench/confidence.mjs MODEL_FOLDER PYTHON [ROUNDS=3] [2048,8192,27000]      (Linux, after pnpm build)
// MODEL_FOLDER is made by: python bench/confidence_torch.py model MODEL_FOLDER
// Ours and theirs take turns, each measurement in a process of its own, of which the second pass counts; medians.
// PyTorch's logits in one piece are left out where they would take more than half of the machine's memory.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';

const VOCABULARY = 151_936;
const TOKENS_A_STEP = 28;
/** Of the memory that the whole logits take: themselves and their log-softmax, float32. */
const WHOLE_BYTES_A_TOKEN = 2 * 4 * VOCABULARY;

if (process.argv[2] === 'run') await runOurs(...process.argv.slice(3));
else compare(...process.argv.slice(2));

/** One JSON line: a second pass, and the peak memory of the process. */
async function runOurs(folder, tokenText, what) {
  const { loadModel } = await import('../packages/hidden-states/dist/model/load-model.js');
  const { openDecoder } = await import('../packages/hidden-states/dist/decoder/decoder.js');
  const { estimateMemory } = await import('../packages/hidden-states/dist/memory/estimate.js');
  const tokens = Number(tokenText);
  const model = await loadModel(folder);
  const confidence = what === 'confidence' ? { topK: 20 } : undefined;
  const options = { layers: [model.spec.layerCount], compute: 'float32', device: 'cpu', confidence };
  const decoder = await openDecoder(model, { ...options, storage: 'F16' });
  const inputIds = Int32Array.from({ length: tokens }, (_, i) => (i * 7919 + 13) % model.spec.vocabularySize);
  const positions = inputIds.map((_, i) => i).filter((i) => i % TOKENS_A_STEP === TOKENS_A_STEP - 1);
  let [seconds, cpuSeconds] = [0, 0];
  for (let pass = 0; pass < 2; pass++) {
    const [start, before] = [performance.now(), process.cpuUsage()];
    if (confidence) await decoder.hiddenStatesAndConfidence({ inputIds, positions });
    else await decoder.hiddenStates({ inputIds, positions });
    seconds = (performance.now() - start) / 1000;
    const { user, system } = process.cpuUsage(before);
    cpuSeconds = (user + system) / 1e6;
  }
  const peak = Number(/VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]) / 1024;
  const estimate = estimateMemory(model, options);
  console.log(
    JSON.stringify({
      seconds: Math.round(seconds * 100) / 100,
      cpu_seconds: Math.round(cpuSeconds * 100) / 100,
      peak_mib: Math.round(peak),
      estimate_mib: Math.round((estimate.model + tokens * estimate.perToken) / 2 ** 20),
    }),
  );
  await decoder.close();
}

function compare(folder, python, rounds = '3', lengths = '2048,8192,27000') {
  const path = (name) => fileURLToPath(new URL(name, import.meta.url));
  const ours = (what) => (tokens) => [process.execPath, [path('confidence.mjs'), 'run', folder, tokens, what]];
  const theirs = (what) => (tokens) => [python, [path('confidence_torch.py'), 'run', folder, tokens, what]];
  const contenders = {
    'ours, states': ours('states'),
    'ours, with confidence': ours('confidence'),
    'PyTorch, states': theirs('states'),
    'PyTorch, in chunks': theirs('chunks'),
    'PyTorch, in one piece': theirs('whole'),
  };
  for (const tokens of lengths.split(',')) {
    const tooLarge = Number(tokens) * WHOLE_BYTES_A_TOKEN > totalmem() / 2;
    const results = {};
    for (let round = 0; round < Number(rounds); round++) {
      for (const [name, command] of Object.entries(contenders)) {
        if (tooLarge && name === 'PyTorch, in one piece') continue;
        results[name] ??= [];
        results[name].push(measure(command(tokens)));
      }
    }
    const of = (name, key) => median(results[name].map((result) => result[key]));
    const chunks = of('PyTorch, in chunks', 'cpu_seconds') / of('ours, with confidence', 'cpu_seconds');
    console.log(`${tokens} tokens: ${chunks.toFixed(2)} times as fast as PyTorch in chunks, by CPU time`);
    for (const name of Object.keys(results)) {
      const estimate = results[name][0].estimate_mib;
      const note = estimate ? ` (estimate ${estimate})` : '';
      console.log(
        `  ${name}: ${of(name, 'seconds')} s, ${of(name, 'cpu_seconds')} CPU s, ${of(name, 'peak_mib')} MiB${note}`,
      );
    }
  }
}

function measure([command, args]) {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout.trim().split('\n').at(-1));
}

function median(values) {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
}
