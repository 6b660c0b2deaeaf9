// Writes a Hugging Face folder with random bf16 weights in the shape of a real model, a tensor at a time: 16 GB take no memory.
// Usage: node bench/make-model.mjs full|tiny NAME FOLDER      NAME of bench/gpu/models.json: qwen3-8b, … (after pnpm build)
import { once } from 'node:events';
import { createWriteStream, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { f32ToBf16 } from '../packages/core/dist/safetensors/index.js';
import { readHfConfig } from '../packages/hidden-states/dist/index.js';

const CLASSES = { qwen3: 'Qwen3ForCausalLM', llama: 'LlamaForCausalLM', mistral: 'MistralForCausalLM' };
/** Random numbers that are used again and again; a prime, so that no two rows of a tensor are alike. */
const BLOCK = 1_000_003;
const PIECE = 64 * BLOCK;

const [scale, name, folder] = process.argv.slice(2);
const shape = JSON.parse(readFileSync(new URL('gpu/models.json', import.meta.url), 'utf8'))[scale][name];
const config = { architectures: [CLASSES[shape.model_type]], hidden_act: 'silu', ...shape };
const { spec, architecture } = readHfConfig(JSON.stringify(config), 'config.json');

const { hiddenSize: D, headSize: d, intermediateSize: I, vocabularySize: V, layerCount } = spec;
const [query, keyValue] = [spec.headCount * d, spec.keyValueHeadCount * d];
const tensors = [
  [architecture.tensors.embeddings, [V, D]],
  [architecture.tensors.finalNorm, [D]],
];
for (let layer = 0; layer < layerCount; layer++) {
  const names = architecture.tensors.layer(layer);
  tensors.push([names.attentionNorm, [D]], [names.mlpNorm, [D]]);
  if (spec.queryKeyNorm) tensors.push([names.queryNorm, [d]], [names.keyNorm, [d]]);
  tensors.push([`${names.query}.weight`, [query, D]], [`${names.attentionOutput}.weight`, [D, query]]);
  for (const tensor of [names.key, names.value]) tensors.push([`${tensor}.weight`, [keyValue, D]]);
  for (const tensor of [names.gate, names.up]) tensors.push([`${tensor}.weight`, [I, D]]);
  tensors.push([`${names.down}.weight`, [D, I]]);
}

const header = {};
let end = 0;
for (const [tensor, dims] of tensors) {
  const bytes = 2 * dims.reduce((product, length) => product * length, 1);
  header[tensor] = { dtype: 'BF16', shape: dims, data_offsets: [end, end + bytes] };
  end += bytes;
}
const text = Buffer.from(JSON.stringify(header));
const head = Buffer.alloc(8);
head.writeBigUInt64LE(BigInt(text.length));

mkdirSync(folder, { recursive: true });
writeFileSync(join(folder, 'config.json'), JSON.stringify(config, null, 2));
const file = createWriteStream(join(folder, 'model.safetensors'));
const write = async (bytes) => file.write(bytes) || once(file, 'drain');
await write(head);
await write(text);
for (const [tensor, dims] of tensors) {
  // Norm weights of 1 would hide a norm that is left out; the others keep the size of what they multiply.
  const block = dims.length === 1 ? blockOf((u) => 0.75 + u / 2) : blockOf((u) => (2 * u - 1) * Math.sqrt(3 / dims[1]));
  const [start, stop] = header[tensor].data_offsets;
  for (let position = start; position < stop; position += PIECE) {
    const length = Math.min(PIECE, stop - position);
    await write(repeated(block, length));
  }
}
file.end();
await once(file, 'close');
console.log(JSON.stringify({ model: name, bytes: end }));

/** BLOCK bfloat16 numbers made of uniform ones, the same at each run. */
function blockOf(number) {
  let state = 1;
  const values = Float32Array.from({ length: BLOCK }, () => {
    state = (state * 48_271) % 2_147_483_647;
    return number(state / 2_147_483_647);
  });
  const bits = new Uint16Array(BLOCK);
  f32ToBf16(values, bits);
  return Buffer.from(bits.buffer);
}

function repeated(block, length) {
  const bytes = Buffer.allocUnsafe(length);
  for (let at = 0; at < length; at += block.length) block.copy(bytes, at, 0, Math.min(block.length, length - at));
  return bytes;
}
