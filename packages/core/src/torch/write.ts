import { crc32 } from 'node:zlib';
import { ScorerError } from '../errors/index.js';
import { dtypeBytes } from '../safetensors/index.js';
import { storageOfDtype, type TorchDtype } from './dtype.js';
import { OP } from './opcodes.js';

/** A tensor that is in memory. */
export interface TorchTensorData {
  readonly dtype: TorchDtype;
  readonly shape: readonly number[];
  /** The elements, little endian, row-major. */
  readonly data: ArrayBufferView;
}

/** What can be written: a Map becomes an OrderedDict, as state dicts are; another object a dict; a whole number an int. */
export type TorchInput =
  | null
  | boolean
  | number
  | string
  | TorchTensorData
  | readonly TorchInput[]
  | ReadonlyMap<string, TorchInput>
  | { readonly [key: string]: TorchInput };

/** torch aligns storages to this, so that they can be mapped into memory. */
const ALIGNMENT = 64;

/** Without zip64 an archive is smaller than 4 GiB; the rest is more than enough for what stands around the contents. */
const MAX_CONTENT_BYTES = 4e9;

/** Names the folder inside the archive; torch takes the file's name, which would make the bytes depend on it. */
const FOLDER = 'archive';

/**
 * The bytes of a file as torch.save writes it, for `torch.load` with `weights_only=True`; they depend on the value alone.
 * For weights and what stands beside them: all is in memory.
 * @throws ScorerError `TORCH_TOO_LARGE`, `TORCH_SIZE_MISMATCH` (usage)
 */
export function encodeTorch(value: TorchInput): Uint8Array {
  const { pickle, storages } = pickled(value);
  const entries: [name: string, content: Uint8Array][] = [
    ['data.pkl', pickle],
    ['byteorder', Buffer.from('little')],
    ...storages.map((storage, i): [string, Uint8Array] => [`data/${i}`, storage]),
    ['version', Buffer.from('3\n')],
  ];
  return zipped(entries);
}

function pickled(value: TorchInput): { pickle: Uint8Array; storages: Uint8Array[] } {
  const parts: Uint8Array[] = [];
  const storages: Uint8Array[] = [];
  const op = (...bytes: number[]): void => void parts.push(Uint8Array.from(bytes));
  const global = (module: string, name: string): void =>
    void parts.push(Buffer.from(`${String.fromCharCode(OP.GLOBAL)}${module}\n${name}\n`));

  const text = (value: string): void => {
    const bytes = Buffer.from(value);
    const head = Buffer.alloc(5);
    head.writeUInt8(OP.BINUNICODE);
    head.writeUInt32LE(bytes.length, 1);
    parts.push(head, bytes);
  };
  const number = (value: number): void => {
    if (Number.isInteger(value) && Math.abs(value) < 2 ** 31) {
      const bytes = Buffer.alloc(5);
      bytes.writeUInt8(OP.BININT);
      bytes.writeInt32LE(value, 1);
      parts.push(bytes);
    } else if (Number.isSafeInteger(value)) {
      const bytes = Buffer.alloc(10);
      bytes.writeUInt8(OP.LONG1);
      bytes.writeUInt8(8, 1);
      bytes.writeBigInt64LE(BigInt(value), 2);
      parts.push(bytes);
    } else {
      const bytes = Buffer.alloc(9);
      bytes.writeUInt8(OP.BINFLOAT);
      bytes.writeDoubleBE(value, 1);
      parts.push(bytes);
    }
  };
  const tuple = (values: readonly number[]): void => {
    op(OP.MARK);
    values.forEach(number);
    op(OP.TUPLE);
  };
  const pairs = (entries: Iterable<[string, TorchInput]>): void => {
    op(OP.MARK);
    for (const [key, item] of entries) {
      text(key);
      write(item);
    }
    op(OP.SETITEMS);
  };
  const emptyOrderedDict = (): void => {
    global('collections', 'OrderedDict');
    op(OP.EMPTY_TUPLE, OP.REDUCE);
  };

  const tensor = ({ dtype, shape, data }: TorchTensorData): void => {
    const size = shape.reduce((product, length) => product * length, 1);
    if (data.byteLength !== size * dtypeBytes(dtype)) {
      const what = `${dtype} [${shape}] takes ${size * dtypeBytes(dtype)} bytes, the data have ${data.byteLength}`;
      throw new ScorerError({ code: 'TORCH_SIZE_MISMATCH', kind: 'usage', what });
    }
    global('torch._utils', '_rebuild_tensor_v2');
    op(OP.MARK, OP.MARK);
    text('storage');
    global('torch', storageOfDtype(dtype));
    text(String(storages.length));
    text('cpu');
    number(size);
    op(OP.TUPLE, OP.BINPERSID);
    number(0);
    tuple(shape);
    tuple(shape.map((_, i) => shape.slice(i + 1).reduce((product, length) => product * length, 1)));
    op(OP.NEWFALSE);
    emptyOrderedDict();
    op(OP.TUPLE, OP.REDUCE);
    storages.push(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  };

  const write = (value: TorchInput): void => {
    if (value === null) op(OP.NONE);
    else if (typeof value === 'boolean') op(value ? OP.NEWTRUE : OP.NEWFALSE);
    else if (typeof value === 'number') number(value);
    else if (typeof value === 'string') text(value);
    else if (isList(value)) {
      op(OP.EMPTY_LIST, OP.MARK);
      value.forEach(write);
      op(OP.APPENDS);
    } else if (value instanceof Map) {
      emptyOrderedDict();
      pairs(value);
    } else if (isTensor(value)) tensor(value);
    else {
      op(OP.EMPTY_DICT);
      pairs(Object.entries(value));
    }
  };

  op(OP.PROTO, 2);
  write(value);
  op(OP.STOP);
  return { pickle: Buffer.concat(parts), storages };
}

function isList(value: TorchInput): value is readonly TorchInput[] {
  return Array.isArray(value);
}

function isTensor(value: object): value is TorchTensorData {
  return 'dtype' in value && 'data' in value && ArrayBuffer.isView(value.data);
}

/** A zip archive of stored entries, each content at a multiple of `ALIGNMENT`; all times are the format's zero. */
function zipped(entries: readonly (readonly [name: string, content: Uint8Array])[]): Uint8Array {
  const bytes = entries.reduce((sum, [, content]) => sum + content.length, 0);
  if (bytes > MAX_CONTENT_BYTES) {
    const what = `the content takes ${bytes} bytes, ${MAX_CONTENT_BYTES} are written`;
    throw new ScorerError({ code: 'TORCH_TOO_LARGE', kind: 'usage', what });
  }
  const parts: Uint8Array[] = [];
  const index: Uint8Array[] = [];
  let position = 0;
  const add = (bytes: Uint8Array): void => {
    parts.push(bytes);
    position += bytes.length;
  };

  for (const [entryName, content] of entries) {
    const name = Buffer.from(`${FOLDER}/${entryName}`);
    const unpadded = position + 30 + name.length + 4;
    const padding = Buffer.alloc(4 + ((ALIGNMENT - (unpadded % ALIGNMENT)) % ALIGNMENT), 'Z');
    padding.write('FB', 'latin1');
    padding.writeUInt16LE(padding.length - 4, 2);

    // Version, flags, method, time, date; then what the index has too.
    const facts = Buffer.alloc(26);
    facts.writeUInt32LE(crc32(content), 10);
    facts.writeUInt32LE(content.length, 14);
    facts.writeUInt32LE(content.length, 18);
    facts.writeUInt16LE(name.length, 22);
    const local = Buffer.from(facts);
    local.writeUInt16LE(padding.length, 24);
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE(position, 10);
    index.push(Buffer.from('PK\x01\x02\0\0', 'latin1'), facts, tail, name);

    add(Buffer.from('PK\x03\x04', 'latin1'));
    add(local);
    add(name);
    add(padding);
    add(content);
  }

  const indexBytes = Buffer.concat(index);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 'latin1');
  end.writeUInt16LE(entries.length, 8);
  end.writeUInt16LE(entries.length, 10);
  end.writeUInt32LE(indexBytes.length, 12);
  end.writeUInt32LE(position, 16);
  return Buffer.concat([...parts, indexBytes, end]);
}
