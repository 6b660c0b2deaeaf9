// Where the time of a pass goes, by operator: node profile.mjs MODEL
// Each kernel is waited for before the next one starts (CUDA_LAUNCH_BLOCKING, set by run.mjs), so that ONNX Runtime's
// clock around an operator shows its kernels' time; the sum is therefore more than the pass takes otherwise.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { COMPUTE, DEVICE, emit, hasTransformers, inside, makeModel, onnxruntime, sequence, TINY } from '../kit.mjs';

const { loadModel } = await inside('hidden-states', 'model/load-model.js');
const { buildDecoderGraph } = await inside('hidden-states', 'graph/decoder-graph.js');

const LENGTHS = TINY ? [64] : [2048, 8192, 27000];

if (hasTransformers()) {
  const model = await loadModel(makeModel(process.argv[2]));
  // A session for each length: its profile is written when it ends.
  for (const tokens of LENGTHS)
    emit({ model: process.argv[2], tokens, compute: COMPUTE, ...(await profile(model, tokens)) });
}

async function profile(model, tokens) {
  const ort = onnxruntime();
  const folder = mkdtempSync(join(tmpdir(), 'profile-'));
  const layers = [model.spec.layerCount];
  const session = await ort.InferenceSession.create(
    buildDecoderGraph(model, { layers, compute: COMPUTE, storage: 'F16' }),
    {
      executionProviders: DEVICE === 'cuda' ? ['cuda', 'cpu'] : ['cpu'],
      logSeverityLevel: 3,
      enableMemPattern: false,
      enableProfiling: true,
      profileFilePrefix: join(folder, 'profile'),
      extra: { session: { model_external_initializers_file_folder_path: model.weights.folder } },
    },
  );
  const { inputIds, positions } = sequence(tokens, model.spec.vocabularySize);
  const feeds = {
    input_ids: new ort.Tensor('int32', inputIds, [1, tokens]),
    positions: new ort.Tensor('int32', positions, [positions.length]),
  };
  await session.run(feeds);
  const warm = performance.now();
  await session.run(feeds);
  const seconds = (performance.now() - warm) / 1000;
  session.endProfiling();
  await session.release();

  const events = JSON.parse(readFileSync(join(folder, readdirSync(folder)[0]), 'utf8'));
  rmSync(folder, { recursive: true });
  const runs = events.filter(({ name }) => name === 'model_run');
  const from = runs.at(-1).ts;
  const milliseconds = {};
  for (const { args, name, dur, ts } of events) {
    if (!args?.op_name || !name.endsWith('_kernel_time') || ts < from) continue;
    // Products of matrices by their weight: q, k, v, o, gate, up and down differ in shape.
    const shapes = args.input_type_shape?.map((entry) => JSON.stringify(Object.values(entry)[0])) ?? [];
    const key = args.op_name === 'FusedMatMul' ? `FusedMatMul ${shapes[1]}` : args.op_name;
    milliseconds[key] = (milliseconds[key] ?? 0) + dur / 1000;
  }
  const sorted = Object.entries(milliseconds).sort(([, a], [, b]) => b - a);
  return {
    seconds: +seconds.toFixed(4),
    milliseconds: Object.fromEntries(sorted.map(([key, value]) => [key, +value.toFixed(2)])),
  };
}
