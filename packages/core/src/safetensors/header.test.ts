import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ScorerError } from '../errors/index.js';
import { MAX_HEADER_BYTES, parseHeader, type SafetensorsHeader } from './header.js';

/** A file's first bytes: length and header. `dataBytes` of data are said to follow. */
function parse(header: string | Uint8Array, dataBytes: number, announced?: bigint): SafetensorsHeader {
  const json = Buffer.from(header);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(announced ?? BigInt(json.length));
  return parseHeader(Buffer.concat([length, json]), 8 + json.length + dataBytes);
}

function one(info: string): string {
  return `{"a":{${info}}}`;
}

const TWO_BYTES = '"dtype":"U8","shape":[2],"data_offsets":[0,2]';
const A = (start: number, end: number) => `"dtype":"U8","shape":[${end - start}],"data_offsets":[${start},${end}]`;

describe('a header is accepted', () => {
  test('with tensors in any order, which come out in the order of their data, at offsets in the file', () => {
    const header = `{"b":{${A(3, 4)}}, "__metadata__" : {"k":"v"} ,"a":{${A(0, 3)}}}`;
    const { tensors, metadata, dataStart } = parse(header, 4);
    expect(dataStart).toBe(8 + header.length);
    expect([...tensors.keys()]).toEqual(['a', 'b']);
    expect(tensors.get('b')).toEqual({ name: 'b', dtype: 'U8', shape: [1], start: dataStart + 3, end: dataStart + 4 });
    expect({ ...metadata }).toEqual({ k: 'v' });
  });

  test('without any tensor, with spaces behind it', () => {
    expect(parse('{}      ', 0).tensors.size).toBe(0);
  });

  test('with scalars, tensors without elements, and sizes beyond 4 GiB', () => {
    const big = 2 ** 40;
    const header = `{"none":{"dtype":"F32","shape":[0,7],"data_offsets":[0,0]},"all":{"dtype":"F16","shape":[${big / 2}],"data_offsets":[0,${big}]},"scalar":{"dtype":"F64","shape":[],"data_offsets":[${big},${big + 8}]}}`;
    const { tensors, dataStart } = parse(header, big + 8);
    expect(tensors.get('scalar')?.end).toBe(dataStart + big + 8);
    expect(tensors.get('none')?.shape).toEqual([0, 7]);
  });

  test('with names that are keys of every object, which touch no prototype', () => {
    const header = `{"__proto__":{${A(0, 1)}},"__metadata__":{"__proto__":"x","constructor":"y"}}`;
    const { tensors, metadata } = parse(header, 1);
    expect([...tensors.keys()]).toEqual(['__proto__']);
    expect(Object.keys(metadata)).toEqual(['__proto__', 'constructor']);
    expect(Object.getPrototypeOf(metadata)).toBeNull();
    expect(({} as Record<string, unknown>).x).toBeUndefined();
  });

  test('with escapes in names', () => {
    expect([...parse(`{"a\\u00e9\\n\\"\\ud83d\\ude00":{${A(0, 1)}}}`, 1).tensors.keys()]).toEqual(['aé\n"😀']);
  });
});

describe('a header is refused', () => {
  const deep = '['.repeat(100_000);
  const attacks: [name: string, code: string, header: string | Uint8Array, dataBytes?: number, announced?: bigint][] = [
    ['longer than the cap', 'HEADER_TOO_LARGE', '{}', 0, BigInt(MAX_HEADER_BYTES + 1)],
    ['of 2^64 - 1 bytes', 'HEADER_TOO_LARGE', '{}', 0, 2n ** 64n - 1n],
    ['longer than the file', 'HEADER_BEYOND_FILE', '{}', 0, 3n],
    ['that is empty', 'BAD_START', ''],
    ['that begins with a space', 'BAD_START', ' {}'],
    ['that begins with a BOM', 'BAD_START', '\ufeff{}'],
    ['that is an array', 'BAD_START', '[]'],
    ['that is not UTF-8', 'NOT_UTF8', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d])],
    ['with an overlong UTF-8 form', 'NOT_UTF8', Buffer.from([0x7b, 0x22, 0xc0, 0xaf, 0x22, 0x7d])],
    ['with half a surrogate pair as a name', 'NOT_JSON', `{"\\ud800":{${TWO_BYTES}}}`, 2],
    ['that ends early', 'NOT_JSON', '{"a":{"dtype":"U8"'],
    ['that ends inside a string', 'NOT_JSON', '{"a'],
    ['that ends inside an escape', 'NOT_JSON', '{"a\\'],
    ['with a control character in a string', 'NOT_JSON', '{"a\n":{}}'],
    ['with an unknown escape', 'NOT_JSON', `{"\\x":{${TWO_BYTES}}}`, 2],
    ['with a trailing comma', 'NOT_JSON', `{"a":{${TWO_BYTES}},}`, 2],
    ['with text behind it', 'NOT_JSON', '{}x'],
    ['with zeros behind it', 'NOT_JSON', '{}\0\0'],
    ['with a second object behind it', 'NOT_JSON', '{}{}'],
    ['with a key without quotes', 'NOT_JSON', '{a:1}'],
    ['nested 100,000 deep', 'NOT_JSON', `{"a":${deep}`],
    ['with a shape nested 100,000 deep', 'BAD_INTEGER', `{"a":{"shape":[${deep}`],
    ['with a tensor twice', 'DUPLICATE_KEY', `{"a":{${TWO_BYTES}},"a":{${TWO_BYTES}}}`, 2],
    ['with a tensor twice, once in escapes', 'DUPLICATE_KEY', `{"a":{${TWO_BYTES}},"\\u0061":{${TWO_BYTES}}}`, 2],
    ['with a field twice', 'DUPLICATE_KEY', one(`"dtype":"U8",${TWO_BYTES}`), 2],
    ['with __metadata__ twice', 'DUPLICATE_KEY', '{"__metadata__":{},"__metadata__":{}}'],
    ['with a metadata key twice', 'DUPLICATE_KEY', '{"__metadata__":{"a":"1","a":"2"}}'],
    ['with a number in the metadata', 'BAD_METADATA', '{"__metadata__":{"a":1}}'],
    ['with null in the metadata', 'BAD_METADATA', '{"__metadata__":{"a":null}}'],
    ['with a tensor that is a number', 'NOT_JSON', '{"a":1}'],
    ['with an unknown field', 'BAD_TENSOR', one(`${TWO_BYTES},"x":1`), 2],
    ['without dtype', 'BAD_TENSOR', one('"shape":[2],"data_offsets":[0,2]'), 2],
    ['without shape', 'BAD_TENSOR', one('"dtype":"U8","data_offsets":[0,2]'), 2],
    ['without offsets', 'BAD_TENSOR', one('"dtype":"U8","shape":[2]'), 2],
    ['with one offset', 'BAD_TENSOR', one('"dtype":"U8","shape":[2],"data_offsets":[2]'), 2],
    ['with three offsets', 'BAD_TENSOR', one('"dtype":"U8","shape":[2],"data_offsets":[0,2,2]'), 2],
    ['with an unknown dtype', 'UNKNOWN_DTYPE', one('"dtype":"F128","shape":[2],"data_offsets":[0,32]'), 32],
    ['with the dtype "constructor"', 'UNKNOWN_DTYPE', one('"dtype":"constructor","shape":[2],"data_offsets":[0,2]'), 2],
    ['with a dtype in lower case', 'UNKNOWN_DTYPE', one('"dtype":"u8","shape":[2],"data_offsets":[0,2]'), 2],
    ['with a negative size', 'BAD_INTEGER', one('"dtype":"U8","shape":[-2],"data_offsets":[0,2]'), 2],
    ['with a fraction', 'BAD_INTEGER', one('"dtype":"U8","shape":[2.0],"data_offsets":[0,2]'), 2],
    ['with an exponent', 'BAD_INTEGER', one('"dtype":"U8","shape":[2e0],"data_offsets":[0,2]'), 2],
    ['with a size in quotes', 'BAD_INTEGER', one('"dtype":"U8","shape":["2"],"data_offsets":[0,2]'), 2],
    ['with a leading zero', 'BAD_INTEGER', one('"dtype":"U8","shape":[02],"data_offsets":[0,2]'), 2],
    ['with 2^53', 'BAD_INTEGER', one(`"dtype":"U8","shape":[${2n ** 53n}],"data_offsets":[0,2]`), 2],
    ['with 2^64', 'BAD_INTEGER', one(`"dtype":"U8","shape":[${2n ** 64n}],"data_offsets":[0,2]`), 2],
    [
      'whose shape overflows to a small number',
      'SHAPE_OVERFLOW',
      one(`"dtype":"U8","shape":[${2 ** 32},${2 ** 32},1],"data_offsets":[0,0]`),
    ],
    [
      'whose shape overflows by its dtype',
      'SHAPE_OVERFLOW',
      one(`"dtype":"F64","shape":[${2 ** 50}],"data_offsets":[0,0]`),
    ],
    [
      'whose shape overflows before a zero',
      'SHAPE_OVERFLOW',
      one(`"dtype":"U8","shape":[${2 ** 32},${2 ** 32},0],"data_offsets":[0,0]`),
    ],
    ['with fewer bytes than its shape', 'SIZE_MISMATCH', one('"dtype":"F32","shape":[2],"data_offsets":[0,7]'), 7],
    ['with more bytes than its shape', 'SIZE_MISMATCH', one('"dtype":"U8","shape":[0],"data_offsets":[0,2]'), 2],
    ['with half a byte left over', 'PARTIAL_BYTE', one('"dtype":"F4","shape":[3],"data_offsets":[0,2]'), 2],
    ['with offsets that run backwards', 'BAD_OFFSETS', one('"dtype":"U8","shape":[2],"data_offsets":[2,0]'), 2],
    ['with a hole before the first tensor', 'HOLE', one('"dtype":"U8","shape":[2],"data_offsets":[1,3]'), 3],
    ['with a hole between tensors', 'HOLE', `{"a":{${A(0, 2)}},"b":{${A(3, 4)}}}`, 4],
    ['with tensors that overlap', 'OVERLAP', `{"a":{${A(0, 2)}},"b":{${A(1, 3)}}}`, 3],
    ['with two tensors on the same bytes', 'OVERLAP', `{"a":{${A(0, 2)}},"b":{${A(0, 2)}}}`, 2],
    ['with data cut short', 'TRUNCATED', one(TWO_BYTES), 1],
    ['with data behind the last tensor', 'TRAILING_BYTES', one(TWO_BYTES), 3],
    ['with data but no tensor', 'TRAILING_BYTES', '{}', 1],
  ];

  test.each(attacks)('%s: SAFETENSORS_%s', (_, code, header, dataBytes = 0, announced) => {
    expect(codeOf(() => parse(header, dataBytes, announced))).toBe(`SAFETENSORS_${code}`);
  });

  test('in a file of less than 8 bytes: SAFETENSORS_TOO_SHORT', () => {
    expect(codeOf(() => parseHeader(new Uint8Array(7), 7))).toBe('SAFETENSORS_TOO_SHORT');
  });

  test('with the tensor and the file in the message', () => {
    const bytes = Buffer.from(`\x40\0\0\0\0\0\0\0${one(TWO_BYTES).padEnd(64)}`);
    expect(() => parseHeader(bytes, 8 + 64 + 1, 'x.safetensors')).toThrow(
      '1 of its 74 bytes are missing, x.safetensors',
    );
    const wrong = Buffer.from(`\x40\0\0\0\0\0\0\0${one(TWO_BYTES.replace('U8', 'U9')).padEnd(64)}`);
    expect(() => parseHeader(wrong, 8 + 64 + 2, 'x.safetensors')).toThrow(
      'unknown dtype "U9", tensor "a" of x.safetensors',
    );
  });
});

/** More with SCORER_FUZZ_RUNS=1000000. */
const FUZZ_RUNS = Number(process.env.SCORER_FUZZ_RUNS ?? 5_000);

test(`a header with bytes changed, lost or put in is read or refused with a code (${FUZZ_RUNS} runs)`, () => {
  const good = Buffer.from(
    `{"__metadata__":{"k":"v\\u00e9"},"a":{"dtype":"F16","shape":[2,3],"data_offsets":[0,12]},"b":{${A(12, 14)}}}`,
  );
  const edit = fc.record({
    at: fc.nat(good.length - 1),
    remove: fc.nat(3),
    insert: fc.oneof(
      fc.uint8Array({ maxLength: 3 }),
      fc
        .constantFrom('{', '}', '[', ']', ',', ':', '"', '\\', '0', '9', '-', 'e', '"a"', 'null')
        .map((text) => Buffer.from(text)),
    ),
  });
  fc.assert(
    fc.property(fc.array(edit, { minLength: 1, maxLength: 4 }), fc.integer({ min: 0, max: 20 }), (edits, dataBytes) => {
      const header = edits.reduce<Uint8Array>(
        (bytes, { at, remove, insert }) => Buffer.concat([bytes.subarray(0, at), insert, bytes.subarray(at + remove)]),
        good,
      );
      const outcome = codeOf(() => parse(header, dataBytes));
      expect(outcome === undefined || /^SAFETENSORS_[A-Z0-9_]+$/.test(outcome)).toBe(true);
    }),
    { numRuns: FUZZ_RUNS },
  );
});

/** The code of the error that a call throws; undefined where it returns. Any other error is passed on. */
function codeOf(call: () => unknown): string | undefined {
  try {
    call();
    return undefined;
  } catch (error) {
    if (error instanceof ScorerError) return error.code;
    throw error;
  }
}
