// Throughput and peak memory, ours and transformers by turns on the same card: node speed.mjs MODEL
import {
  COMPUTE,
  DEVICE,
  emit,
  forwardFlops,
  gpuMebibytes,
  hasTransformers,
  inside,
  makeModel,
  median,
  PEAK_BF16_FLOPS,
  seconds,
  sequence,
  TINY,
  withReference,
} from '../kit.mjs';

const { loadModel } = await inside('hidden-states', 'model/load-model.js');
const { openDecoder } = await inside('hidden-states', 'decoder/decoder.js');

const LENGTHS = TINY ? [64, 128] : [2048, 8192, 27000];
const ROUNDS = TINY ? 2 : 5;

if (hasTransformers()) await compare(process.argv[2]);

async function compare(name) {
  const folder = makeModel(name);
  const model = await loadModel(folder);
  const { spec } = model;

  const start = performance.now();
  const decoder = await openDecoder(model, {
    layers: [spec.layerCount],
    storage: 'F16',
    compute: COMPUTE,
    device: DEVICE,
  });
  emit({ model: name, opened_seconds: seconds(start), mebibytes: gpuMebibytes(process.pid) });
  await withReference(async (ask) => {
    const dtype = DEVICE === 'cuda' ? 'bfloat16' : 'float32';
    emit({ model: name, transformers: await ask({ do: 'load', model: folder, dtype, attention: 'sdpa' }) });
    for (const tokens of LENGTHS)
      emit({ model: name, compute: COMPUTE, ...(await byTurns(decoder, ask, spec, tokens)) });
  });
  await decoder.close();
}

async function byTurns(decoder, ask, spec, tokens) {
  const { inputIds, positions } = sequence(tokens, spec.vocabularySize);
  const request = { do: 'time', ids: [...inputIds], positions: [...positions] };
  const ours = async () => {
    const from = performance.now();
    await decoder.hiddenStates({ inputIds, positions });
    return (performance.now() - from) / 1000;
  };
  const times = { ours: [], transformers: [] };
  let error;
  // The first round warms up: kernels are chosen, memory is taken.
  for (let round = 0; round <= ROUNDS && !error; round++) {
    const mine = await ours();
    const answer = await ask(request);
    error = answer.error;
    if (round === 0) continue;
    times.ours.push(mine);
    times.transformers.push(answer.seconds);
  }
  const { peak_bytes: peak } = await ask({ do: 'memory' });
  const flops = forwardFlops(spec, tokens);
  const figures = (list) => {
    if (list.length === 0) return null;
    const time = median(list);
    return {
      seconds: +time.toFixed(4),
      lowest: +Math.min(...list).toFixed(4),
      highest: +Math.max(...list).toFixed(4),
      tokens_per_second: Math.round(tokens / time),
      tflops: +(flops / time / 1e12).toFixed(2),
      share_of_peak: +(flops / time / PEAK_BF16_FLOPS).toFixed(3),
    };
  };
  return {
    tokens,
    ours: { ...figures(times.ours), mebibytes: gpuMebibytes(process.pid) },
    transformers: { ...figures(error ? [] : times.transformers), mebibytes: peak && Math.round(peak / 2 ** 20) },
    ...(error
      ? { transformers_error: error }
      : { speed: +(median(times.transformers) / median(times.ours)).toFixed(3) }),
  };
}
