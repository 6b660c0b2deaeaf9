// The forward pass on the CPU against transformers (float32, sdpa), on a random model of 100 M parameters.
// Usage: node bench/hidden-states.mjs MODEL_FOLDER PYTHON [ROUNDS=3] [512,2048,8192]      (Linux, after pnpm build)
// MODEL_FOLDER is made by: python bench/hidden_states_torch.py model MODEL_FOLDER
// Ours and theirs take turns, each measurement in a process of its own; medians are printed, with the single figures.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const [folder, python, rounds = '3', lengths = '512,2048,8192'] = process.argv.slice(2);
const path = (name) => fileURLToPath(new URL(name, import.meta.url));
const contenders = {
  ours: (tokens) => [process.execPath, [path('hidden-states-memory.mjs'), folder, tokens]],
  transformers: (tokens) => [python, [path('hidden_states_torch.py'), 'run', folder, tokens]],
};

function measure([command, args]) {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout.trim().split('\n').at(-1));
}

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

for (const tokens of lengths.split(',')) {
  const results = { ours: [], transformers: [] };
  for (let round = 0; round < Number(rounds); round++) {
    for (const [name, command] of Object.entries(contenders)) results[name].push(measure(command(tokens)));
  }
  const of = (name, key) => results[name].map((result) => result[key]);
  const ratio = (key) => (median(of('ours', key)) / median(of('transformers', key))).toFixed(2);
  console.log(`${tokens} tokens: ${ratio('tokens_per_second')} of the speed, ${ratio('peak_mib')} of the peak memory`);
  for (const name of Object.keys(contenders)) {
    console.log(
      `  ${name}: ${of(name, 'tokens_per_second').join(', ')} tokens/s; ${of(name, 'peak_mib').join(', ')} MiB`,
    );
  }
}
