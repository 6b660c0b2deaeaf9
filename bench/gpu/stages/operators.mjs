// Every operator of the decoder's graph by itself, in each type: whether there is a kernel, on which device it runs,
// whether values are copied for it, and how far its result is from the same in float32 on the CPU.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { core, DEVICE, distance, emit, onnxruntime, TINY } from '../kit.mjs';

const { createGraph, encodeGraph, int64 } = await core('onnx');
const ort = onnxruntime();
// Where Float16Array exists, ONNX Runtime's JavaScript half makes tensors of it that its native half can't read.
Reflect.deleteProperty(globalThis, 'Float16Array');
const microsoft = { domain: 'com.microsoft' };

/** Tokens, hidden size, query heads, key and value heads, head size. */
const [T, D, H, K, d] = [256, 1024, 8, 2, 128];
const LONG = TINY ? 512 : 32768;
const EPSILON = { epsilon: { float: 1e-6 } };

/** Each: inputs by name, [dims, scale], and from their values in the type to the result. */
const OPERATORS = {
  FusedMatMul: [
    { x: [[1, T, D]], w: [[D, D], 0.03] },
    (g, { x, w }) => g.node('FusedMatMul', [x, w], { ...microsoft, attributes: { transB: 1 } }),
  ],
  MatMul: [{ x: [[1, T, D]], w: [[D, D], 0.03] }, (g, { x, w }) => g.node('MatMul', [x, w])],
  SimplifiedLayerNormalization: [
    { x: [[1, T, D]], w: [[D]] },
    (g, { x, w }) =>
      g.node('SimplifiedLayerNormalization', [x, w], { attributes: { axis: -1, stash_type: 1, ...EPSILON } }),
  ],
  'SkipSimplifiedLayerNormalization, norm': [
    { x: [[1, T, D]], skip: [[1, T, D]], w: [[D]] },
    (g, { x, skip, w }) => skipNorm(g, x, skip, w)[0],
  ],
  'SkipSimplifiedLayerNormalization, sum': [
    { x: [[1, T, D]], skip: [[1, T, D]], w: [[D]] },
    (g, { x, skip, w }) => skipNorm(g, x, skip, w)[3],
  ],
  'QuickGelu (SiLU)': [
    { x: [[1, T, D], 3] },
    (g, { x }) => g.node('QuickGelu', [x], { ...microsoft, attributes: { alpha: { float: 1 } } }),
  ],
  Sigmoid: [{ x: [[1, T, D], 3] }, (g, { x }) => g.node('Sigmoid', [x])],
  Mul: [{ x: [[1, T, D]], y: [[1, T, D]] }, (g, { x, y }) => g.node('Mul', [x, y])],
  'Add (bias)': [{ x: [[1, T, D]], y: [[D]] }, (g, { x, y }) => g.node('Add', [x, y])],
  'Gather rows': [
    { x: [[1, T, D]] },
    (g, { x }) =>
      g.node('Gather', [x, g.constant('int32', [3], Int32Array.of(0, 7, T - 1))], { attributes: { axis: 1 } }),
  ],
  Concat: [
    { x: [[1, T, H, d]], y: [[1, T, H, d]] },
    (g, { x, y }) => g.node('Concat', [x, y], { attributes: { axis: 3 } }),
  ],
  Expand: [{ x: [[1]] }, (g, { x }) => g.node('Expand', [x, int64(g, [1, T, 8])])],
  Slice: [{ x: [[1, T, D]] }, (g, { x }) => g.node('Slice', [x, int64(g, [0]), int64(g, [64]), int64(g, [2])])],
  Reshape: [{ x: [[1, T, D]] }, (g, { x }) => g.node('Reshape', [x, int64(g, [1, -1, 8, d])])],
  RotaryEmbedding: [{ ...rotation(T), x: [[1, T, H * d]] }, (g, { x, cos, sin }) => rotary(g, x, cos, sin, H)],
  GroupQueryAttention: attention({ tokens: T }),
  'GroupQueryAttention, window': attention({ tokens: T, window: 100 }),
  'GroupQueryAttention, rotating': attention({ tokens: T, rotates: true }),
  'GroupQueryAttention, norming and rotating': attention({ tokens: T, rotates: true, norms: true }),
  [`GroupQueryAttention, ${LONG} tokens`]: attention({ tokens: LONG }),
};

for (const [name, [inputs, build]] of Object.entries(OPERATORS)) {
  const feeds = Object.fromEntries(
    Object.entries(inputs).map(([key, [dims, scale]], i) => [key, random(dims, scale, i)]),
  );
  const expected = await attempt(name, inputs, build, feeds, 'float32', 'cpu');
  for (const type of DEVICE === 'cuda' ? ['bfloat16', 'float16', 'float32'] : ['float32']) {
    const { values, ...result } = await attempt(name, inputs, build, feeds, type, DEVICE);
    const off = values && expected.values ? distance(values, expected.values) : {};
    emit({ operator: name, type, ...result, ...off });
  }
}

async function attempt(name, inputs, build, feeds, type, device) {
  const folder = mkdtempSync(join(tmpdir(), 'operator-'));
  try {
    const graph = createGraph('operator');
    const values = Object.fromEntries(
      Object.entries(inputs).map(([key, [dims]]) => [key, inType(graph, graph.input(key, 'float32', dims), type)]),
    );
    const result = build(graph, values, { type, fused: device !== 'cpu' });
    graph.output('result', graph.cast(result, 'float32'), 'float32', ['n']);
    const session = await ort.InferenceSession.create(encodeGraph(graph), {
      executionProviders: device === 'cuda' ? ['cuda', 'cpu'] : ['cpu'],
      logSeverityLevel: 4,
      enableProfiling: true,
      profileFilePrefix: join(folder, 'profile'),
    });
    const { result: output } = await session.run(feeds);
    session.endProfiling();
    const placed = placement(folder);
    await session.release();
    const ran = placed.find(({ operator }) => name.startsWith(operator)) ?? {};
    const copies = placed.filter(({ operator }) => operator.startsWith('Memcpy')).length;
    return { provider: ran.provider ?? null, copies, values: output.data };
  } catch (error) {
    return { error: error.message.split('\n')[0].slice(0, 300) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Operators that ran, with their device. */
function placement(folder) {
  const events = JSON.parse(readFileSync(join(folder, readdirSync(folder)[0]), 'utf8'));
  return events
    .filter(({ args, name }) => args?.op_name && name.endsWith('_kernel_time'))
    .map(({ args }) => ({ operator: args.op_name, provider: args.provider.replace('ExecutionProvider', '') }));
}

function inType(graph, value, type) {
  return type === 'float32' ? graph.node('Identity', [value]) : graph.cast(value, type);
}

function skipNorm(graph, x, skip, w) {
  return graph.nodes('SkipSimplifiedLayerNormalization', [x, skip, w], {
    ...microsoft,
    outputs: 4,
    attributes: EPSILON,
  });
}

function rotation(tokens) {
  return { cos: [[tokens, d / 2], 'cos'], sin: [[tokens, d / 2], 'sin'] };
}

function rotary(graph, x, cos, sin, heads) {
  const attributes = { num_heads: heads, rotary_embedding_dim: d };
  return graph.node('RotaryEmbedding', [x, int64(graph, [0]), cos, sin], { ...microsoft, attributes });
}

/** On the CPU norms and rotation are nodes of their own: its attention has no norms. */
function attention({ tokens, window, rotates = false, norms = false }) {
  const inputs = {
    q: [[1, tokens, H * d]],
    k: [[1, tokens, K * d]],
    v: [[1, tokens, K * d]],
    ...(rotates && rotation(tokens)),
    ...(norms && { qn: [[d]], kn: [[d]] }),
  };
  const build = (graph, { q, k, v, cos, sin, qn, kn }, { fused }) => {
    const last = graph.constant('int32', [1], Int32Array.of(tokens - 1));
    const length = graph.constant('int32', [], Int32Array.of(tokens));
    const place = (x, w, heads) =>
      rotates && !fused ? rotary(graph, w ? normHeads(graph, x, w, heads) : x, cos, sin, heads) : x;
    const placing = rotates && fused ? [cos, sin, ...(norms ? [...Array(5), qn, kn] : [])] : [];
    const ins = [place(q, qn, H), place(k, kn, K), v, undefined, undefined, last, length, ...placing];
    return graph.nodes('GroupQueryAttention', ins, {
      ...microsoft,
      outputs: 3,
      attributes: {
        num_heads: H,
        kv_num_heads: K,
        local_window_size: window,
        do_rotary: placing.length > 0 ? 1 : undefined,
        qk_norm_epsilon: norms && fused ? { float: 1e-6 } : undefined,
      },
    })[0];
  };
  return [inputs, build];
}

function normHeads(graph, x, w, heads) {
  const byHead = graph.node('Reshape', [x, int64(graph, [0, -1, d])]);
  const normed = graph.node('SimplifiedLayerNormalization', [byHead, w], {
    attributes: { axis: -1, stash_type: 1, ...EPSILON },
  });
  return graph.node('Reshape', [normed, int64(graph, [0, -1, heads * d])]);
}

/** Sums of uniform numbers, spread like a normal distribution; or the angles of positions. */
function random(dims, scale = 1, seed = 0) {
  const size = dims.reduce((a, b) => a * b, 1);
  if (typeof scale === 'string') {
    const data = Float32Array.from({ length: size }, (_, i) =>
      Math[scale](Math.floor(i / dims[1]) * 1e4 ** (-(i % dims[1]) / dims[1])),
    );
    return new ort.Tensor('float32', data, dims);
  }
  let state = 12345 + seed;
  const uniform = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  const data = Float32Array.from(
    { length: size },
    () => scale * (uniform() + uniform() + uniform() + uniform() - 2) * Math.sqrt(3),
  );
  return new ort.Tensor('float32', data, dims);
}
