// Traces of mixed lengths from step records to a shard: flat memory, and how long the card waits between traces.
// The same sequences are then given to the decoder with nothing around it; what the whole takes longer is waiting.
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  COMPUTE,
  command,
  core,
  DEVICE,
  demoFolder,
  emit,
  gpuMebibytes,
  hasTransformers,
  inside,
  makeModel,
  seconds,
  TINY,
  WORK,
  watchGpu,
} from '../kit.mjs';

const COUNT = TINY ? 12 : 200;
const [SHORTEST, LONGEST] = TINY ? [40, 300] : [500, 27000];
const IN_FLIGHT = 3;

if (hasTransformers()) await run(process.argv[2]);

async function run(name) {
  const folder = makeModel(name);
  for (const file of ['tokenizer.json', 'tokenizer_config.json', 'chat_template.jinja']) {
    try {
      cpSync(join(demoFolder(), 'data/model', file), join(folder, file));
    } catch {} // not every tokenizer has each of them
  }
  const work = join(WORK, 'traces');
  rmSync(work, { recursive: true, force: true });
  mkdirSync(work, { recursive: true });
  const { loadTokenizer } = await core('tokenizer');
  writeFileSync(join(work, 'raw.jsonl'), syntheticTraces(await loadTokenizer(folder)));
  const steps = join(work, 'steps');
  command('preprocess', ['--input-file', join(work, 'raw.jsonl'), '--output-file', steps, '--tokenizer-path', folder]);

  const { extract } = await inside('hidden-states', 'run/extract.js');
  const memory = [];
  const finished = [];
  const stopWatching = watchGpu();
  const summary = await extract({
    model: folder,
    inputPath: join(steps, 'raw.jsonl'),
    outputPath: join(work, 'states/raw'),
    device: DEVICE,
    onProgress: () => {
      finished.push(performance.now());
      if (finished.length % Math.ceil(COUNT / 20) === 0)
        memory.push({
          traces: finished.length,
          gpu_mebibytes: gpuMebibytes(process.pid),
          resident_mebibytes: Math.round(process.memoryUsage.rss() / 2 ** 20),
        });
    },
  });
  const samples = stopWatching();
  const pipeline = (finished.at(-1) - finished[0]) / 1000;

  const sequences = await sequencesOf(summary.shards);
  const tokens = sequences.map(({ inputIds }) => inputIds.length);
  const direct = await alone(folder, sequences);
  const during = samples.slice(-Math.round(pipeline * 10));
  const mean = (values) => (values.length > 0 ? +(values.reduce((a, b) => a + b, 0) / values.length).toFixed(1) : null);
  emit({
    model: name,
    compute: COMPUTE,
    traces: summary.traces,
    failures: summary.failures,
    tokens: tokens.reduce((a, b) => a + b, 0),
    shortest: Math.min(...tokens),
    longest: Math.max(...tokens),
    pipeline_seconds: +pipeline.toFixed(2),
    decoder_alone_seconds: direct,
    waiting_share: +Math.max(0, 1 - direct / pipeline).toFixed(4),
    tokens_per_second: Math.round(tokens.slice(1).reduce((a, b) => a + b, 0) / pipeline),
    gpu_utilisation_mean: mean(during.map(([utilisation]) => utilisation)),
    gpu_samples: during.length,
    gpu_samples_idle: during.filter(([utilisation]) => utilisation === 0).length,
    memory,
  });
}

/** The decoder with the next sequences always waiting, after one that warms it up; from the end of the first trace, as the pipeline is timed. */
async function alone(folder, sequences) {
  const { loadModel } = await inside('hidden-states', 'model/load-model.js');
  const { openDecoder } = await inside('hidden-states', 'decoder/decoder.js');
  const model = await loadModel(folder);
  const decoder = await openDecoder(model, {
    layers: [model.spec.layerCount],
    storage: 'F16',
    compute: COMPUTE,
    device: DEVICE,
  });
  await decoder.hiddenStates(sequences[0]);
  const start = performance.now();
  const waiting = [];
  for (const sequence of sequences.slice(1)) {
    waiting.push(decoder.hiddenStates(sequence));
    if (waiting.length >= IN_FLIGHT) await waiting.shift();
  }
  await Promise.all(waiting);
  const taken = seconds(start);
  await decoder.close();
  return taken;
}

async function sequencesOf(shards) {
  const { openSafetensors } = await core('safetensors');
  const all = [];
  for (const { path } of shards) {
    const file = await openSafetensors(path);
    const view = async (name, array) => new array((await file.read(name)).slice().buffer);
    const ids = await view('input_ids', Int32Array);
    const offsets = await view('input_offsets', BigInt64Array);
    const positions = await view('step_positions', Int32Array);
    const steps = await view('step_offsets', BigInt64Array);
    for (let i = 0; i + 1 < offsets.length; i++) {
      all.push({
        inputIds: ids.slice(Number(offsets[i]), Number(offsets[i + 1])),
        positions: positions.slice(Number(steps[i]), Number(steps[i + 1])),
        promptLength: 0,
      });
    }
    await file.close();
  }
  return all;
}

/** Steps of the demo's traces, one after the other, until a trace has about its share of tokens. */
function syntheticTraces(tokenizer) {
  const lines = readFileSync(join(demoFolder(), 'data/traces.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  const paragraphs = lines
    .flatMap(({ response }) => response.replace(/<\/?think>/g, '').split('\n\n'))
    .filter((text) => text.trim());
  const lengths = paragraphs.map((text) => tokenizer.encode(`${text}\n\n`).length);
  const traces = [];
  let next = 0;
  for (let i = 0; i < COUNT; i++) {
    // Evenly spread on a logarithmic scale, long and short ones mixed.
    const share = ((i * 79) % COUNT) / (COUNT - 1);
    const wanted = SHORTEST * (LONGEST / SHORTEST) ** share;
    const steps = [];
    for (let tokens = 0; tokens < wanted; next = (next + 1) % paragraphs.length) {
      steps.push(paragraphs[next]);
      tokens += lengths[next];
    }
    traces.push({ ...lines[i % lines.length], response: `<think>${steps.join('\n\n')}</think>` });
  }
  return traces.map((trace) => `${JSON.stringify(trace)}\n`).join('');
}
