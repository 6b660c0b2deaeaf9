// The whole pipeline on the tiny model that ships with the project, on the device and on the CPU.
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { command, DEVICE, demoFolder, emit, seconds, TINY, WORK } from '../kit.mjs';

/** A rehearsal needs to see every part once, not a good scorer. */
const [TRACES, EPOCHS] = TINY ? ['200', '2'] : ['2432', '20'];

const data = join(demoFolder(), 'data');
const work = join(WORK, 'demo');
rmSync(work, { recursive: true, force: true });
mkdirSync(work, { recursive: true });
command('preprocess', [
  '--input-file',
  join(data, 'traces.jsonl'),
  '--output-file',
  join(work, 'steps'),
  '--tokenizer-path',
  join(data, 'model'),
]);

for (const device of DEVICE === 'cpu' ? ['cpu'] : [DEVICE, 'cpu']) {
  const out = join(work, device);
  const start = performance.now();
  const input = ['--model-name', join(data, 'model'), '--input-path', join(work, 'steps/traces.jsonl')];
  const states = command('hidden-states', [
    ...input,
    '--output-path',
    join(out, 'states/traces'),
    '--end-idx',
    TRACES,
    '--device',
    device,
  ]);
  const extracted = seconds(start);
  const training = performance.now();
  const folders = ['--train-dir', join(out, 'states'), '--config-name', 'demo', '--out-dir', out];
  const scorer = command('train', [...folders, '--epochs', EPOCHS, '--device', device]);
  emit({
    device,
    dtype: states.dtype,
    traces: states.traces,
    steps: states.steps,
    failures: states.failures,
    extract_seconds: extracted,
    train_seconds: seconds(training),
    auc: scorer.auc,
    f1: scorer.f1,
    best_epoch: scorer.best_epoch,
  });
}
