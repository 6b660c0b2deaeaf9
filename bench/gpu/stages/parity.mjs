// The states of every layer against transformers: node parity.mjs MODEL
// Ours in bf16 must be no further from transformers' float32 than transformers' bf16 is. Also: where each operator of the whole graph runs.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  COMPUTE,
  DEVICE,
  distance,
  emit,
  hasTransformers,
  inside,
  makeModel,
  onnxruntime,
  readFloats,
  sequence,
  TINY,
  WORK,
  withReference,
} from '../kit.mjs';

const { loadModel } = await inside('hidden-states', 'model/load-model.js');
const { openDecoder } = await inside('hidden-states', 'decoder/decoder.js');
const { buildDecoderGraph } = await inside('hidden-states', 'graph/decoder-graph.js');

const TOKENS = TINY ? 128 : 2048;
/** Bits of a state are compared in the storage type that keeps most of them; a run on the card gives float32. */
const STORAGE = 'F32';

if (hasTransformers()) await compare(process.argv[2]);

async function compare(name) {
  const folder = makeModel(name);
  const model = await loadModel(folder);
  const { layerCount, hiddenSize: D, vocabularySize } = model.spec;
  const { inputIds, positions } = sequence(TOKENS, vocabularySize);
  const layers = Array.from({ length: layerCount + 1 }, (_, layer) => layer);
  await reportPlacement(name, model, layers);

  mkdirSync(WORK, { recursive: true });
  const file = (dtype) => join(WORK, `${name}-${dtype}.bin`);
  // Gone before ours begins: float32 weights of a large model leave no room for a second one.
  const error = await withReference(async (ask) => {
    for (const dtype of ['bfloat16', 'float32']) {
      const states = { do: 'states', ids: [...inputIds], positions: [...positions], file: file(dtype) };
      for (const request of [{ do: 'load', model: folder, dtype, attention: 'sdpa' }, states]) {
        const answer = await ask(request);
        if (answer.error) return `${dtype}: ${answer.error}`;
      }
    }
  });
  if (error) throw new Error(`transformers, ${error}`);
  const [bf16, fp32] = ['bfloat16', 'float32'].map((dtype) => readFloats(file(dtype)));
  const size = positions.length * D;
  const rows = (states, layer) => states.subarray(layer * size, (layer + 1) * size);

  for (const compute of DEVICE === 'cuda' ? ['bfloat16', 'float16'] : [COMPUTE]) {
    const decoder = await openDecoder(model, { layers, storage: STORAGE, compute, device: DEVICE });
    const states = await decoder.hiddenStates({ inputIds, positions });
    await decoder.close();
    let further = 0;
    for (const layer of layers) {
      const bytes = states.get(layer);
      const ours = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
      const oursToFp32 = distance(ours, rows(fp32, layer));
      const theirsToFp32 = distance(rows(bf16, layer), rows(fp32, layer));
      if (!(oursToFp32.relative <= theirsToFp32.relative)) further += 1;
      emit({
        model: name,
        compute,
        layer,
        ours_to_fp32: oursToFp32,
        transformers_bf16_to_fp32: theirsToFp32,
        ours_to_transformers_bf16: distance(ours, rows(bf16, layer)),
      });
    }
    emit({ model: name, compute, layers: layers.length, layers_further_from_fp32_than_transformers_bf16: further });
  }
}

/** Which device runs which operators of the whole graph, and how many copies between them there are. */
async function reportPlacement(name, model, layers) {
  const ort = onnxruntime();
  const prefix = mkdtempSync(join(tmpdir(), 'placement-'));
  const session = await ort.InferenceSession.create(
    buildDecoderGraph(model, { layers, compute: COMPUTE, storage: 'F16' }),
    {
      executionProviders: DEVICE === 'cuda' ? ['cuda', 'cpu'] : ['cpu'],
      logSeverityLevel: 3,
      enableMemPattern: false,
      enableProfiling: true,
      profileFilePrefix: join(prefix, 'profile'),
      extra: { session: { model_external_initializers_file_folder_path: model.weights.folder } },
    },
  );
  const { inputIds, positions } = sequence(64, model.spec.vocabularySize);
  await session.run({
    input_ids: new ort.Tensor('int32', inputIds, [1, inputIds.length]),
    positions: new ort.Tensor('int32', positions, [positions.length]),
  });
  session.endProfiling();
  await session.release();
  const events = JSON.parse(readFileSync(join(prefix, readdirSync(prefix)[0]), 'utf8'));
  rmSync(prefix, { recursive: true });
  const nodes = {};
  for (const { args, name: event } of events) {
    if (!args?.op_name || !event.endsWith('_kernel_time')) continue;
    const key = `${args.provider.replace('ExecutionProvider', '')} ${args.op_name} ${Object.keys(args.input_type_shape?.[0] ?? {})[0] ?? ''}`;
    nodes[key] = (nodes[key] ?? 0) + 1;
  }
  const copies = Object.entries(nodes).reduce((sum, [key, count]) => (key.includes('Memcpy') ? sum + count : sum), 0);
  emit({ model: name, placement: nodes, copies_between_devices: copies });
}
