// The CUDA path on a machine without a card: cuda.c stands for CUDA's libraries, so that ONNX Runtime's real provider
// places every graph, plans its memory and launches its kernels, which do nothing. Needs gcc and an assembled kit.
//
//     KIT/bin/node KIT/bench/rehearsal/rehearsal.mjs stages OUT       the stages at tiny size; figures mean nothing, errors do
//     KIT/bin/node KIT/bench/rehearsal/rehearsal.mjs shapes [MODEL…]  what a pass launches, copies and allocates at full size
import { spawnSync } from 'node:child_process';
import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const HERE = dirname(fileURLToPath(import.meta.url));
const LIBRARIES = ['libcudart.so.13', 'libcublas.so.13', 'libcublasLt.so.13', 'libcurand.so.10', 'libcuda.so.1'];
const LENGTHS = [2048, 8192, 27000];
const LOG = 'SCORER_CUDA_LOG';

const [task, ...rest] = process.argv.slice(2);
const work = mkdtempSync(join(tmpdir(), 'rehearsal-'));
try {
  if (task === 'stages') rehearse(rest[0]);
  else if (task === 'shapes') shapes(rest);
  else if (task === 'pass') await pass(rest[0]);
  else throw new Error('say stages or shapes');
} finally {
  rmSync(work, { recursive: true });
}

/** Every library is the same code under another name, with the version that its users ask for. */
function buildLibraries() {
  for (const library of LIBRARIES) {
    const version = join(work, 'version');
    writeFileSync(version, `${library} { global: *; };\n`);
    const flags = ['-O1', '-w', '-shared', '-fPIC', `-Wl,-soname,${library}`, `-Wl,--version-script,${version}`];
    run('gcc', [...flags, join(HERE, 'cuda.c'), '-o', join(work, library), '-lpthread']);
  }
  return { ...process.env, LD_LIBRARY_PATH: work };
}

function rehearse(out) {
  const flags = ['--device', 'cuda', '--scale', 'tiny', '--out', out, '--work', join(work, 'work')];
  const { status } = spawnSync(process.execPath, [join(HERE, '../run.mjs'), ...flags], {
    env: buildLibraries(),
    stdio: 'inherit',
  });
  process.exitCode = status;
}

function shapes(names) {
  const environment = buildLibraries();
  const models = JSON.parse(readFileSync(join(HERE, '../models.json'), 'utf8')).full;
  for (const name of names.length > 0 ? names : Object.keys(models)) {
    const folder = join(work, name);
    writeHollowModel(folder, models[name]);
    const log = join(work, `${name}.log`);
    const estimates = JSON.parse(
      run(process.execPath, [fileURLToPath(import.meta.url), 'pass', folder], { ...environment, [LOG]: log }),
    );
    const passes = readFileSync(log, 'utf8').split('launch mark\n');
    for (const [i, tokens] of LENGTHS.entries()) {
      const figures = passFigures(models[name], passes[i + 1].trim().split('\n'), passes.slice(0, i + 2).join(''));
      console.log(JSON.stringify({ model: name, tokens, ...figures, estimate_gibibytes: estimates[i] }));
    }
  }
}

/** One session, a pass for each length; a mark in the log before each. */
async function pass(folder) {
  const { inside, onnxruntime, sequence } = await import('../kit.mjs');
  const { loadModel } = await inside('hidden-states', 'model/load-model.js');
  const { buildDecoderGraph } = await inside('hidden-states', 'graph/decoder-graph.js');
  const { estimateMemory } = await inside('hidden-states', 'memory/estimate.js');
  const { appendFileSync } = await import('node:fs');
  const ort = onnxruntime();
  const model = await loadModel(folder);
  const options = { layers: [model.spec.layerCount], compute: 'bfloat16' };
  const estimate = estimateMemory(model, { ...options, device: 'cuda' });
  const bytes = buildDecoderGraph(model, { ...options, storage: 'F16' });
  const session = await ort.InferenceSession.create(bytes, {
    executionProviders: ['cuda', 'cpu'],
    logSeverityLevel: 3,
    enableMemPattern: false,
    extra: { session: { model_external_initializers_file_folder_path: folder } },
  });
  for (const tokens of LENGTHS) {
    const { inputIds, positions } = sequence(tokens, model.spec.vocabularySize);
    appendFileSync(process.env[LOG], 'launch mark\n');
    await session.run({
      input_ids: new ort.Tensor('int32', inputIds, [1, tokens]),
      positions: new ort.Tensor('int32', positions, [positions.length]),
    });
  }
  console.log(
    JSON.stringify(LENGTHS.map((tokens) => +((estimate.model + tokens * estimate.perToken) / 2 ** 30).toFixed(2))),
  );
}

function passFigures({ num_hidden_layers: layers }, lines, before) {
  const of = (kind) => lines.filter((line) => line.startsWith(`${kind} `)).map((line) => line.split(' '));
  const kernels = {};
  for (const [, mangled] of of('launch')) {
    const kernel = kernelName(mangled);
    kernels[kernel] = (kernels[kernel] ?? 0) + 1;
  }
  const flops = of('gemm').reduce((sum, [, m, n, k]) => sum + 2 * m * n * k, 0);
  const copied = Object.groupBy ? Object.groupBy(of('copy'), ([, direction]) => direction) : {};
  const peak = before
    .split('\n')
    .filter((line) => line.startsWith('memory '))
    .at(-1)
    .split(' ')[2];
  return {
    launches: of('launch').length,
    launches_a_layer: +(of('launch').length / layers).toFixed(1),
    matrix_products: of('gemm').length,
    matrix_teraflop: +(flops / 1e12).toFixed(2),
    copies: Object.fromEntries(
      Object.entries(copied).map(([key, list]) => [
        key,
        { count: list.length, bytes: list.reduce((sum, [, , bytes]) => sum + Number(bytes), 0) },
      ]),
    ),
    peak_gibibytes: +(peak / 2 ** 30).toFixed(2),
    kernels,
  };
}

/** `…13GroupQuery…` of a mangled name: the longest of its parts that are plain words. */
function kernelName(mangled) {
  const words = [...mangled.matchAll(/\d+/g)].map(({ 0: digits, index }) =>
    mangled.substr(index + digits.length, Number(digits)),
  );
  const plain = words.filter(
    (word) => /^_?[A-Za-z]\w+$/.test(word) && !/^(onnxruntime|contrib|cuda|flash|cutlass|detail)$/.test(word),
  );
  return [plain[0], ...plain.slice(1).filter((word) => /^OP_/.test(word))].join(' ') || mangled;
}

/** config.json, and a safetensors file whose header is real and whose data is a hole. */
function writeHollowModel(folder, shape) {
  const {
    hidden_size: D,
    intermediate_size: I,
    num_attention_heads: H,
    num_key_value_heads: K,
    num_hidden_layers: L,
  } = shape;
  const { model_type: type, vocab_size: V, head_dim: d = D / H } = shape;
  const shapes = { 'model.embed_tokens.weight': [V, D], 'model.norm.weight': [D] };
  for (let i = 0; i < L; i++) {
    const add = (name, ...dims) => {
      shapes[`model.layers.${i}.${name}.weight`] = dims;
    };
    add('input_layernorm', D);
    add('post_attention_layernorm', D);
    if (type === 'phi3') {
      add('self_attn.qkv_proj', (H + 2 * K) * d, D);
      add('mlp.gate_up_proj', 2 * I, D);
    } else {
      add('self_attn.q_proj', H * d, D);
      add('self_attn.k_proj', K * d, D);
      add('self_attn.v_proj', K * d, D);
      add('mlp.gate_proj', I, D);
      add('mlp.up_proj', I, D);
    }
    add('self_attn.o_proj', D, H * d);
    add('mlp.down_proj', D, I);
    if (type === 'qwen3') {
      add('self_attn.q_norm', d);
      add('self_attn.k_norm', d);
    }
  }
  let end = 0;
  const header = {};
  for (const [name, dims] of Object.entries(shapes)) {
    const start = end;
    end += 2 * dims.reduce((a, b) => a * b, 1);
    header[name] = { dtype: 'BF16', shape: dims, data_offsets: [start, end] };
  }
  const text = JSON.stringify(header);
  const json = text.padEnd(Math.ceil(text.length / 8) * 8);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  mkdirSync(folder, { recursive: true });
  const architecture = { qwen3: 'Qwen3ForCausalLM', llama: 'LlamaForCausalLM', phi3: 'Phi3ForCausalLM' }[type];
  writeFileSync(
    join(folder, 'config.json'),
    JSON.stringify({ architectures: [architecture], hidden_act: 'silu', ...shape }),
  );
  const file = openSync(join(folder, 'model.safetensors'), 'w');
  writeSync(file, length);
  writeSync(file, json);
  ftruncateSync(file, 8 + json.length + end);
  closeSync(file);
}

function run(command, args, env = process.env) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8', env });
  if (status !== 0) throw new Error(`${command}: ${error ?? stderr}`);
  return stdout;
}
