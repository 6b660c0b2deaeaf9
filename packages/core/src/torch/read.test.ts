import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ScorerError } from '../errors/index.js';
import { toFloat32 } from '../safetensors/index.js';
import {
  encodeTorch,
  openTorch,
  type TorchFile,
  type TorchInput,
  TorchTensor,
  TorchText,
  type TorchValue,
} from './index.js';
import { OP } from './opcodes.js';

const FIXTURES = fileURLToPath(new URL('./fixtures/', import.meta.url));

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'torch-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function plainFile(path: string): Promise<unknown> {
  const file = await openTorch(path);
  try {
    return await plain(file.value, file);
  } finally {
    await file.close();
  }
}

const TORCH_NAMES = {
  F64: 'float64',
  F32: 'float32',
  F16: 'float16',
  BF16: 'bfloat16',
  I64: 'int64',
  I32: 'int32',
  I16: 'int16',
  I8: 'int8',
  U8: 'uint8',
  BOOL: 'bool',
};

/** As the oracle script writes it to expected.json. */
async function plain(value: TorchValue, file: TorchFile): Promise<unknown> {
  if (value instanceof TorchText) return file.readText(value);
  if (value instanceof TorchTensor) {
    const numbers = [...toFloat32(value.dtype, await file.read(value))];
    const values = value.dtype === 'BOOL' ? numbers.map(Boolean) : numbers;
    return { dtype: TORCH_NAMES[value.dtype], shape: value.shape, values };
  }
  if (value instanceof Map) {
    const entries = [...value].map(async ([key, item]) => [String(key), await plain(item, file)]);
    return Object.fromEntries(await Promise.all(entries));
  }
  if (Array.isArray(value)) return Promise.all(value.map((item) => plain(item, file)));
  return typeof value === 'bigint' ? Number(value) : value;
}

describe('a file of torch.save', () => {
  test.each(['traces', 'checkpoint', 'views', 'dtypes', 'deflated', 'zip64'])(
    'holds what PyTorch put there: %s (tools/oracles/torch_files.py)',
    async (name) => {
      const expected = JSON.parse(await readFile(join(FIXTURES, 'expected.json'), 'utf8'));
      expect(await plainFile(join(FIXTURES, `${name}.pt`))).toEqual(expected[name]);
    },
  );

  test('gives the part of a tensor at an index of its first dimension', async () => {
    const file = await openTorch(join(FIXTURES, 'views.pt'));
    const transposed = (file.value as Map<TorchValue, TorchValue>).get('transposed') as TorchTensor;
    expect([...toFloat32('F32', await file.read(transposed.at(2)))]).toEqual([2, 8, 14, 20]);
    expect(() => transposed.at(6)).toThrow(RangeError);
    await file.close();
  });
});

describe('a file is refused with nothing executed', () => {
  test.each([
    ['a call of os.system', 'bad_system', 'TORCH_FORBIDDEN', 'posix.system'],
    ['a call of eval', 'bad_eval', 'TORCH_FORBIDDEN', '__builtin__.eval'],
    ['a call of getattr', 'bad_getattr', 'TORCH_FORBIDDEN', '__builtin__.getattr'],
    ['an object of a class', 'bad_module', 'TORCH_FORBIDDEN', 'torch.nn.modules.container.Sequential'],
    ['a TorchScript program', 'bad_torchscript', 'TORCH_FORBIDDEN', '__torch__'],
    ['another pickle protocol', 'bad_protocol4', 'TORCH_FORBIDDEN', 'protocol 4'],
    ['a dtype that is not read', 'bad_dtype', 'TORCH_FORBIDDEN', 'torch.ComplexFloatStorage'],
    ['the format before PyTorch 1.6', 'bad_legacy', 'TORCH_LEGACY_FORMAT', 'before 1.6'],
    ['no zip archive', 'bad_numpy', 'TORCH_NOT_ZIP', 'no zip archive'],
  ])('for %s', async (_, name, code, text) => {
    await expect(openTorch(join(FIXTURES, `${name}.pt`))).rejects.toMatchObject({
      code,
      kind: 'input',
      message: expect.stringContaining(text),
    });
    expect(existsSync('executed')).toBe(false);
  });

  const text = (value: string, length = value.length): Buffer => {
    const head = Buffer.from('X....');
    head.writeUInt32LE(length, 1);
    return Buffer.concat([head, Buffer.from(value)]);
  };
  const tensor = (storage: string, size: number, offset: number, shape: string, strides: string): Buffer =>
    Buffer.concat([
      Buffer.from('ctorch._utils\n_rebuild_tensor_v2\n(('),
      text('storage'),
      Buffer.from(`ctorch\n${storage}\n`),
      text('0'),
      text('cpu'),
      Buffer.from([0x4b, size, ...Buffer.from('tQ'), 0x4b, offset]),
      Buffer.from(`${shape}${strides}`, 'latin1'),
      Buffer.from([0x89, ...Buffer.from(')tR')]),
    ]);
  const one = 'K\x01\x85';
  const two = 'K\x02\x85';

  test.each<[string, string, string | Buffer, string?]>([
    ['cut short', 'TORCH_PICKLE_INVALID', ']('],
    ['empty', 'TORCH_PICKLE_INVALID', Buffer.alloc(0)],
    ['with a text of 4 GB announced', 'TORCH_PICKLE_INVALID', text('short', 0xffffffff)],
    [
      'with a text that is not UTF-8',
      'TORCH_PICKLE_INVALID',
      Buffer.concat([text(''), Buffer.from('X\x01\0\0\0\xff', 'latin1')]),
    ],
    ['with an integer of 200 bytes', 'TORCH_LIMIT', Buffer.from([0x8a, 200])],
    ['with deep nesting', 'TORCH_LIMIT', '('.repeat(2000)],
    ['with deep tuples', 'TORCH_LIMIT', `N${'\x85'.repeat(5000)}`],
    ['with a value used before it was made', 'TORCH_PICKLE_INVALID', 'h\x05'],
    ['with values taken from an empty stack', 'TORCH_PICKLE_INVALID', 'aaaa'],
    ['with a list that ends and was not begun', 'TORCH_PICKLE_INVALID', ']e'],
    ['that appends to no list', 'TORCH_PICKLE_INVALID', '}Na'],
    ['with values left over', 'TORCH_PICKLE_INVALID', 'NN'],
    ['with a class as a value', 'TORCH_PICKLE_INVALID', ']ctorch\nFloatStorage\na'],
    ['with a class hidden in a tuple', 'TORCH_PICKLE_INVALID', ']ctorch\nFloatStorage\n\x85\x85a'],
    [
      'with STACK_GLOBAL',
      'TORCH_FORBIDDEN',
      Buffer.concat([text('os'), text('system'), Buffer.from([0x93])]),
      'STACK_GLOBAL',
    ],
    ['with NEWOBJ', 'TORCH_FORBIDDEN', 'ccollections\nOrderedDict\n)\x81', 'NEWOBJ'],
    ['with INST', 'TORCH_FORBIDDEN', '(ios\nsystem\n', 'INST'],
    ['with EXT1', 'TORCH_FORBIDDEN', '\x82\x01', 'EXT1'],
    ['with an unknown opcode', 'TORCH_FORBIDDEN', '\xff', '0xff'],
    ['that sets the state of a list', 'TORCH_FORBIDDEN', ']}b'],
    ['that calls a text', 'TORCH_FORBIDDEN', Buffer.concat([text('x'), Buffer.from(')R')])],
    ['with a name that has no end', 'TORCH_PICKLE_INVALID', `c${'a'.repeat(1000)}`],
    [
      'that encodes to something other than bytes',
      'TORCH_FORBIDDEN',
      Buffer.concat([Buffer.from('c_codecs\nencode\n'), text('x'), text('rot13'), Buffer.from('\x86R', 'latin1')]),
    ],
    ['with a tensor beyond its storage', 'TORCH_TENSOR_INVALID', tensor('FloatStorage', 2, 1, two, one)],
    [
      'with a tensor of repeated elements, larger than its storage',
      'TORCH_TENSOR_INVALID',
      tensor('FloatStorage', 1, 0, two, 'K\x00\x85'),
    ],
    [
      'with a tensor of a negative length',
      'TORCH_PICKLE_INVALID',
      tensor('FloatStorage', 2, 0, 'J\xff\xff\xff\xff\x85', one).subarray(0, -1),
      '',
    ],
    ['with more strides than dimensions', 'TORCH_TENSOR_INVALID', tensor('FloatStorage', 2, 0, two, 'K\x01K\x01\x86')],
    ['with a storage that is none', 'TORCH_PICKLE_INVALID', 'NQ'],
  ])('for a pickle %s', async (_, code, body, named = '') => {
    const bytes = typeof body === 'string' ? Buffer.from(body, 'latin1') : body;
    const path = join(folder, 'attack.pt');
    await writeFile(path, archive({ 'data.pkl': Buffer.concat([Buffer.from([0x80, 2]), bytes, Buffer.from('.')]) }));
    const opened = openTorch(path);
    await expect(opened).rejects.toBeInstanceOf(ScorerError);
    await expect(opened).rejects.toMatchObject({ code, message: expect.stringContaining(named) });
  });

  test('for a storage of another size than its tensor says, when it is read', async () => {
    const path = join(folder, 'storage.pt');
    const pickle = Buffer.concat([Buffer.from([0x80, 2]), tensor('FloatStorage', 2, 0, two, one), Buffer.from('.')]);
    await writeFile(path, archive({ 'data.pkl': pickle, 'data/0': Buffer.alloc(6) }));
    const file = await openTorch(path);
    await expect(file.read(file.value as TorchTensor)).rejects.toMatchObject({ code: 'TORCH_TENSOR_INVALID' });
    await file.close();
    await writeFile(path, archive({ 'data.pkl': pickle }));
    const without = await openTorch(path);
    await expect(without.read(without.value as TorchTensor)).rejects.toMatchObject({ code: 'TORCH_ENTRY_MISSING' });
    await without.close();
  });

  test('for values that would fill the memory', async () => {
    const path = join(folder, 'bomb.pt');
    await writeFile(path, archive({ 'data.pkl': Buffer.from(`\x80\x02](${'N'.repeat(20_000_100)}e.`, 'latin1') }));
    await expect(openTorch(path)).rejects.toMatchObject({ code: 'TORCH_LIMIT' });
  });

  test('but not for values that are used many times: they are not made anew', async () => {
    const path = join(folder, 'laughs.pt');
    // x = (x, x), 900 times.
    const doubled = Array.from({ length: 900 }, () => 'q\x00h\x00\x86').join('');
    await writeFile(path, archive({ 'data.pkl': Buffer.from(`\x80\x02N${doubled}.`, 'latin1') }));
    const file = await openTorch(path);
    expect(file.value).toHaveLength(2);
    await file.close();
  });

  test('or read, whatever the pickle is', async () => {
    const path = join(folder, 'any.pt');
    const opcode = fc.constantFrom(...Object.values(OP).map((code) => Buffer.from([code])));
    const piece = fc.oneof(
      { weight: 4, arbitrary: opcode },
      fc.uint8Array({ maxLength: 5 }).map((bytes) => Buffer.from(bytes)),
      fc.constantFrom(
        text('storage'),
        Buffer.from('ctorch\nFloatStorage\n'),
        Buffer.from('ctorch._utils\n_rebuild_tensor_v2\n'),
      ),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 40 }), async (pieces) => {
        await writeFile(path, archive({ 'data.pkl': Buffer.concat([Buffer.from([0x80, 2]), ...pieces]) }));
        await openTorch(path).then(
          (file) => file.close(),
          (error: unknown) => expect(error).toBeInstanceOf(ScorerError),
        );
      }),
      { numRuns: Number(process.env.SCORER_FUZZ_RUNS ?? 1000) },
    );
  });

  test('for big-endian tensors', async () => {
    const path = join(folder, 'big.pt');
    await writeFile(path, archive({ 'data.pkl': Buffer.from('\x80\x02N.', 'latin1'), byteorder: Buffer.from('big') }));
    await expect(openTorch(path)).rejects.toMatchObject({ code: 'TORCH_TENSOR_INVALID' });
  });
});

describe('a damaged archive', () => {
  test('is refused by code wherever it was cut', async () => {
    const whole = await readFile(join(FIXTURES, 'views.pt'));
    const path = join(folder, 'cut.pt');
    for (let length = 0; length < whole.length; length += 41) {
      await writeFile(path, whole.subarray(0, length));
      await expect(openTorch(path), `cut at ${length}`).rejects.toMatchObject({
        code: expect.stringMatching(/^TORCH_(NOT_ZIP|ZIP_INVALID)$/),
      });
    }
  });

  test('is found out by the checksum of a tensor that has another bit', async () => {
    const bytes = await readFile(join(FIXTURES, 'views.pt'));
    const start = bytes.indexOf('data/0') + 100;
    const at = bytes.indexOf(Buffer.from(Float32Array.of(1, 2, 3).buffer), start);
    bytes[at] = bytes[at]! ^ 1;
    const path = join(folder, 'flipped.pt');
    await writeFile(path, bytes);
    await expect(plainFile(path)).rejects.toMatchObject({ code: 'TORCH_CHECKSUM' });
  });

  test('is refused with a code, or read as it was, whichever byte is changed', async () => {
    const whole = await readFile(join(FIXTURES, 'zip64.pt'));
    const expected = await plainFile(join(FIXTURES, 'zip64.pt'));
    const path = join(folder, 'mutated.pt');
    const mutation = fc.tuple(fc.nat(whole.length - 1), fc.nat(255));
    await fc.assert(
      fc.asyncProperty(fc.array(mutation, { minLength: 1, maxLength: 4 }), async (mutations) => {
        const bytes = Buffer.from(whole);
        for (const [at, value] of mutations) bytes[at] = value;
        await writeFile(path, bytes);
        try {
          // A change in the names or times of the index, which no checksum covers, may go unseen.
          expect(await plainFile(path)).toEqual(expected);
        } catch (error) {
          if (!(error instanceof ScorerError)) throw error;
          expect(error.code).toMatch(/^(TORCH_|FILE_TRUNCATED)/);
        }
      }),
      { numRuns: Number(process.env.SCORER_FUZZ_RUNS ?? 300) },
    );
  });

  test.each<[string, string, (bytes: Buffer, index: number) => void]>([
    ['an encrypted entry', 'TORCH_ZIP_UNSUPPORTED', (bytes, index) => bytes.writeUInt16LE(1, index + 8)],
    ['an unknown compression', 'TORCH_ZIP_UNSUPPORTED', (bytes, index) => bytes.writeUInt16LE(12, index + 10)],
    ['an entry of two sizes', 'TORCH_ZIP_INVALID', (bytes, index) => bytes.writeUInt32LE(9, index + 24)],
    ['an entry outside the data', 'TORCH_ZIP_INVALID', (bytes, index) => bytes.writeUInt32LE(1e9, index + 42)],
    ['entries that overlap', 'TORCH_ZIP_INVALID', (bytes, index) => bytes.writeUInt32LE(30, index + 42)],
    [
      'a deflated entry of 4 GB',
      'TORCH_LIMIT',
      (bytes, index) => {
        bytes.writeUInt16LE(8, index + 10);
        bytes.writeUInt32LE(0xfffffff0, index + 24);
      },
    ],
  ])('is refused for %s', async (_, code, damage) => {
    const bytes = archive({ 'data.pkl': Buffer.from('\x80\x02N.', 'latin1'), version: Buffer.from('3\n') });
    damage(bytes, bytes.indexOf('PK\x01\x02'));
    const path = join(folder, 'damaged.pt');
    await writeFile(path, bytes);
    await expect(openTorch(path)).rejects.toMatchObject({ code });
  });
});

describe('a file that is written', () => {
  const value = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { depthSize: 'small' },
      fc.constant(null),
      fc.boolean(),
      fc.maxSafeInteger(),
      fc.double({ noDefaultInfinity: true, noNaN: true }).filter((x) => !Object.is(x, -0)),
      fc.string({ unit: 'grapheme', maxLength: 6000 }),
      fc.array(tie('value'), { maxLength: 5 }),
      fc.dictionary(fc.string({ unit: 'grapheme' }), tie('value'), { maxKeys: 5, noNullPrototype: true }),
    ),
  })).value;

  test('reads back as it was', async () => {
    const path = join(folder, 'written.pt');
    await fc.assert(
      fc.asyncProperty(value, async (written) => {
        await writeFile(path, encodeTorch(written as TorchInput));
        expect(await plainFile(path)).toEqual(written);
      }),
      { numRuns: 100 },
    );
  });

  test('keeps tensors of every shape, and has the same bytes every time', async () => {
    const data = Float32Array.of(1, 2, 3, 4, 5, 6);
    const state = new Map([
      ['net.0.weight', { dtype: 'F32' as const, shape: [2, 3], data }],
      ['net.0.bias', { dtype: 'F32' as const, shape: [], data: Float32Array.of(7) }],
      ['empty', { dtype: 'F16' as const, shape: [0, 4], data: new Uint16Array() }],
    ]);
    const [a, b] = ['a.pt', 'b.pt'].map((name) => join(folder, name));
    for (const path of [a!, b!]) await writeFile(path, encodeTorch({ model_state_dict: state, epoch: 3 }));
    expect(await readFile(a!)).toEqual(await readFile(b!));
    expect(await plainFile(a!)).toEqual({
      model_state_dict: {
        'net.0.weight': { dtype: 'float32', shape: [2, 3], values: [1, 2, 3, 4, 5, 6] },
        'net.0.bias': { dtype: 'float32', shape: [], values: [7] },
        empty: { dtype: 'float16', shape: [0, 4], values: [] },
      },
      epoch: 3,
    });
  });

  test('is refused where a tensor has another size than its shape says', () => {
    const tensor = { dtype: 'F32' as const, shape: [3], data: new Float32Array(2) };
    expect(() => encodeTorch(tensor)).toThrow(expect.objectContaining({ code: 'TORCH_SIZE_MISMATCH' }));
  });
});

/** A zip archive of stored entries in the folder `a`, with all sizes in zip64 fields. */
function archive(entries: Record<string, Buffer>): Buffer {
  const parts: Buffer[] = [];
  const index: Buffer[] = [];
  let position = 0;
  for (const [entryName, content] of Object.entries(entries)) {
    const name = Buffer.from(`a/${entryName}`);
    const local = Buffer.alloc(30);
    local.write('PK\x03\x04', 'latin1');
    local.writeUInt16LE(name.length, 26);
    const heading = Buffer.alloc(46);
    heading.write('PK\x01\x02', 'latin1');
    heading.writeUInt32LE(crc32(content), 16);
    heading.writeUInt32LE(content.length, 20);
    heading.writeUInt32LE(content.length, 24);
    heading.writeUInt16LE(name.length, 28);
    heading.writeUInt16LE(12, 30);
    heading.writeUInt32LE(0xffffffff, 42);
    const extra = Buffer.from([1, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    extra.writeBigUInt64LE(BigInt(position), 4);
    index.push(heading, name, extra);
    parts.push(local, name, content);
    position += local.length + name.length + content.length;
  }
  const indexBytes = Buffer.concat(index);
  const end64 = Buffer.alloc(56);
  end64.write('PK\x06\x06', 'latin1');
  end64.writeBigUInt64LE(BigInt(Object.keys(entries).length), 32);
  end64.writeBigUInt64LE(BigInt(indexBytes.length), 40);
  end64.writeBigUInt64LE(BigInt(position), 48);
  const locator = Buffer.alloc(20);
  locator.write('PK\x06\x07', 'latin1');
  locator.writeBigUInt64LE(BigInt(position + indexBytes.length), 8);
  const end = Buffer.alloc(22, 0xff);
  end.write('PK\x05\x06', 'latin1');
  end.writeUInt16LE(0, 20);
  return Buffer.concat([...parts, indexBytes, end64, locator, end]);
}
