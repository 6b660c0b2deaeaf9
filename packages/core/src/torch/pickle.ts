import { dtypeOfStorage, type TorchDtype } from './dtype.js';
import { torchError } from './errors.js';
import { OP, opcodeName } from './opcodes.js';
import { pickleBytes } from './pickle-bytes.js';
import { TorchTensor, TorchText, type TorchValue } from './value.js';
import type { ZipContent } from './zip.js';

/** Values made and remembered: 20 times those of a thousand traces whose tokens are written out as numbers would take gigabytes. */
const MAX_VALUES = 20_000_000;

/** Open lists and dicts inside each other, and tuples in tuples; torch's own files have five. */
const MAX_NESTING = 1000;

/** PyTorch itself allows 64. */
const MAX_DIMENSIONS = 64;

/** A storage that tensors of the file lie in. */
interface TorchStorage {
  readonly name: string;
  readonly dtype: TorchDtype;
  /** Elements. */
  readonly size: number;
}

export interface Unpickled {
  readonly value: TorchValue;
  readonly storages: ReadonlyMap<string, TorchStorage>;
}

/** What a GLOBAL may name, as `module name`; torch's storage classes come on top. */
const CALLABLES = [
  'collections OrderedDict',
  'torch Size',
  'torch._utils _rebuild_tensor_v2',
  'torch._utils _rebuild_parameter',
  // A metric that scikit-learn computed is a scalar of numpy, and its bytes are a text in protocol 2.
  'numpy dtype',
  'numpy.core.multiarray scalar',
  'numpy._core.multiarray scalar',
  '_codecs encode',
] as const;
type CallableName = (typeof CALLABLES)[number];

/** What is on the stack while values are made, and may not be part of one. */
class Callable {
  constructor(readonly name: CallableName) {}
}
class StorageClass {
  constructor(readonly dtype: TorchDtype) {}
}
class StorageRef {
  constructor(readonly storage: TorchStorage) {}
}
class NumpyDtype {
  constructor(readonly name: string) {}
}
class Bytes {
  constructor(readonly data: Buffer) {}
}
class Tuple {
  /** As an array, made once: tuples of tuples that are used twice each would else double with every level. */
  value: TorchValue[] | undefined;
  readonly depth: number;
  constructor(readonly items: readonly Item[]) {
    let deepest = 0;
    for (const item of items) if (item instanceof Tuple) deepest = Math.max(deepest, item.depth);
    this.depth = deepest + 1;
  }
}
type Item =
  | Exclude<TorchValue, TorchValue[]>
  | TorchValue[]
  | Callable
  | StorageClass
  | StorageRef
  | NumpyDtype
  | Bytes
  | Tuple;

/**
 * Reads a pickle as torch.save writes it, without executing anything: an allow-list of opcodes, and of the few functions
 * that rebuild tensors, each of them reimplemented here. Everything else is refused by its name.
 * @throws ScorerError `TORCH_FORBIDDEN`, `TORCH_PICKLE_INVALID`, `TORCH_TENSOR_INVALID`, `TORCH_LIMIT`
 */
export async function unpickle(content: ZipContent, where: string): Promise<Unpickled> {
  const bytes = pickleBytes(content, where);
  const storages = new Map<string, TorchStorage>();
  const memo = new Map<number, Item>();
  const stack: Item[] = [];
  /** Heights of the stack at the open marks. */
  const marks: number[] = [];
  let values = 0;

  const invalid = (what: string): Error => torchError('TORCH_PICKLE_INVALID', what, where);
  const count = (): void => {
    values += 1;
    if (values > MAX_VALUES) throw torchError('TORCH_LIMIT', `more than ${MAX_VALUES} values`, where);
  };
  const push = (item: Item): void => {
    count();
    stack.push(item);
  };
  const pop = (): Item => {
    if (stack.length <= (marks.at(-1) ?? 0)) throw invalid('a value is taken where there is none');
    return stack.pop()!;
  };
  const popToMark = (): Item[] => {
    const height = marks.pop();
    if (height === undefined) throw invalid('a list or dict ends that was not begun');
    return stack.splice(height);
  };
  const top = (): Item => {
    if (stack.length <= (marks.at(-1) ?? 0)) throw invalid('a value is used where there is none');
    return stack.at(-1)!;
  };
  const put = (key: number): void => {
    count();
    memo.set(key, top());
  };
  const get = (key: number): void => {
    const item = memo.get(key);
    if (item === undefined) throw invalid(`value ${key} is used before it was made`);
    push(item);
  };
  const data = (item: Item): TorchValue => {
    if (item instanceof Tuple) {
      item.value ??= item.items.map(data);
      return item.value;
    }
    if (isData(item)) return item;
    throw invalid('a class or function stands where a value should');
  };
  const pushTuple = (items: readonly Item[]): void => {
    const tuple = new Tuple(items);
    if (tuple.depth > MAX_NESTING) throw torchError('TORCH_LIMIT', `more than ${MAX_NESTING} tuples in tuples`, where);
    push(tuple);
  };
  const append = (items: readonly Item[]): void => {
    const list = top();
    if (!Array.isArray(list)) throw invalid('something is appended to no list');
    for (const item of items) list.push(data(item));
  };
  const setItems = (items: readonly Item[]): void => {
    const dict = top();
    if (!(dict instanceof Map) || items.length % 2 === 1) throw invalid('a pair is put into no dict');
    for (let i = 0; i < items.length; i += 2) dict.set(data(items[i]!), data(items[i + 1]!));
  };

  for (;;) {
    if (bytes.needsRefill) await bytes.refill();
    const opcode = bytes.byte();
    switch (opcode) {
      case OP.PROTO: {
        const protocol = bytes.byte();
        if (protocol !== 2) throw torchError('TORCH_FORBIDDEN', `pickle protocol ${protocol}; torch writes 2`, where);
        break;
      }
      case OP.STOP: {
        const value = data(pop());
        if (stack.length > 0) throw invalid('values are left over');
        return { value, storages };
      }
      case OP.MARK:
        if (marks.length >= MAX_NESTING) throw torchError('TORCH_LIMIT', `more than ${MAX_NESTING} open lists`, where);
        marks.push(stack.length);
        break;
      case OP.NONE:
        push(null);
        break;
      case OP.NEWTRUE:
        push(true);
        break;
      case OP.NEWFALSE:
        push(false);
        break;
      case OP.BININT:
        push(bytes.int32());
        break;
      case OP.BININT1:
        push(bytes.byte());
        break;
      case OP.BININT2:
        push(bytes.uint16());
        break;
      case OP.LONG1:
        push(bytes.integer(bytes.byte()));
        break;
      case OP.BINFLOAT:
        push(bytes.float64());
        break;
      case OP.BINUNICODE:
        push(bytes.text(bytes.uint32()));
        break;
      case OP.EMPTY_LIST:
        push([]);
        break;
      case OP.APPEND:
        append([pop()]);
        break;
      case OP.APPENDS:
        append(popToMark());
        break;
      case OP.EMPTY_TUPLE:
        pushTuple([]);
        break;
      case OP.TUPLE:
        pushTuple(popToMark());
        break;
      case OP.TUPLE1:
      case OP.TUPLE2:
      case OP.TUPLE3: {
        const items = Array.from({ length: opcode - OP.TUPLE1 + 1 }, pop);
        pushTuple(items.reverse());
        break;
      }
      case OP.EMPTY_DICT:
        push(new Map());
        break;
      case OP.SETITEM: {
        const value = pop();
        setItems([pop(), value]);
        break;
      }
      case OP.SETITEMS:
        setItems(popToMark());
        break;
      case OP.BINPUT:
        put(bytes.byte());
        break;
      case OP.LONG_BINPUT:
        put(bytes.uint32());
        break;
      case OP.BINGET:
        get(bytes.byte());
        break;
      case OP.LONG_BINGET:
        get(bytes.uint32());
        break;
      case OP.GLOBAL:
        push(resolve(bytes.line(), bytes.line()));
        break;
      case OP.REDUCE: {
        const args = pop();
        push(call(pop(), args));
        break;
      }
      case OP.BUILD: {
        // Attributes of an OrderedDict (PyTorch's `_metadata`) and the byte order of a dtype: nothing is kept of them.
        pop();
        const built = top();
        if (!(built instanceof Map || built instanceof NumpyDtype)) throw forbidden('setting the state of an object');
        break;
      }
      case OP.BINPERSID:
        push(storageOf(pop()));
        break;
      default:
        throw forbidden(`opcode ${opcodeName(opcode)}`);
    }
  }

  function forbidden(what: string): Error {
    return torchError(
      'TORCH_FORBIDDEN',
      `${what} is not allowed`,
      where,
      'nothing was executed; do not open it in PyTorch',
    );
  }

  function resolve(module: string, name: string): Item {
    const dtype = module === 'torch' ? dtypeOfStorage(name) : undefined;
    if (dtype) return new StorageClass(dtype);
    const known = CALLABLES.find((callable) => callable === `${module} ${name}`);
    if (known) return new Callable(known);
    throw forbidden(`${module}.${name}`);
  }

  function call(callable: Item, args: Item): Item {
    if (!(callable instanceof Callable)) throw forbidden('calling what is no function');
    if (!(args instanceof Tuple)) throw invalid('a function is called without arguments');
    const { items } = args;
    switch (callable.name) {
      case 'collections OrderedDict':
        if (items.length > 0) throw invalid('an OrderedDict with arguments');
        return new Map();
      case 'torch Size':
        return items[0] instanceof Tuple ? new Tuple(items[0].items) : data(items[0] ?? null);
      case 'torch._utils _rebuild_tensor_v2':
        return tensorOf(items);
      case 'torch._utils _rebuild_parameter':
        if (items[0] instanceof TorchTensor) return items[0];
        throw invalid('a parameter without a tensor');
      case 'numpy dtype':
        if (typeof items[0] === 'string') return new NumpyDtype(items[0]);
        throw invalid('a dtype without a name');
      case '_codecs encode':
        if (typeof items[0] === 'string' && items[1] === 'latin1') return new Bytes(Buffer.from(items[0], 'latin1'));
        throw forbidden('an encoding other than latin1');
      case 'numpy.core.multiarray scalar':
      case 'numpy._core.multiarray scalar':
        return numpyScalar(items);
    }
  }

  /** ('storage', class, name, device, size) */
  function storageOf(id: Item): StorageRef {
    const [kind, storageClass, name, , size] = id instanceof Tuple ? id.items : [];
    if (kind !== 'storage' || !(storageClass instanceof StorageClass) || typeof name !== 'string' || !isCount(size)) {
      throw invalid('a reference to something other than a storage');
    }
    const known = storages.get(name);
    if (known && (known.dtype !== storageClass.dtype || known.size !== size)) {
      throw tensorError(`storage ${name} is ${known.dtype} [${known.size}] and ${storageClass.dtype} [${size}]`);
    }
    const storage = known ?? { name, dtype: storageClass.dtype, size };
    storages.set(name, storage);
    return new StorageRef(storage);
  }

  /** (storage, offset, shape, strides, requires_grad, hooks), as PyTorch's torch/_utils.py has it. */
  function tensorOf([ref, offset, size, stride]: readonly Item[]): TorchTensor {
    if (!(ref instanceof StorageRef)) throw invalid('a tensor without a storage');
    const [shape, strides] = [counts(size), counts(stride)];
    if (!shape || !strides || shape.length !== strides.length || !isCount(offset)) {
      throw tensorError('a tensor whose shape or strides are no counts');
    }
    if (shape.length > MAX_DIMENSIONS) throw tensorError(`a tensor of ${shape.length} dimensions`);
    const isEmpty = shape.includes(0);
    const end = isEmpty ? 0 : shape.reduce((last, length, i) => last + (length - 1) * strides[i]!, offset) + 1;
    const { storage } = ref;
    if (!(end <= storage.size)) {
      throw tensorError(`a tensor [${shape}] reaches element ${end} of a storage of ${storage.size}`);
    }
    const tensor = new TorchTensor(storage.dtype, shape, strides, storage.name, offset);
    if (tensor.size > storage.size) throw tensorError(`a tensor [${shape}] of a storage of ${storage.size} elements`);
    return tensor;
  }

  function tensorError(what: string): Error {
    return torchError('TORCH_TENSOR_INVALID', what, where);
  }

  function numpyScalar([dtype, bytes]: readonly Item[]): TorchValue {
    if (dtype instanceof NumpyDtype && bytes instanceof Bytes) {
      const read = NUMPY_SCALARS.get(dtype.name);
      if (read && bytes.data.length === Number(dtype.name.slice(1))) return read(bytes.data);
    }
    throw invalid('a scalar of numpy of an unknown type');
  }
}

const NUMPY_SCALARS: ReadonlyMap<string, (bytes: Buffer) => number> = new Map([
  ['f8', (bytes: Buffer) => bytes.readDoubleLE()],
  ['f4', (bytes: Buffer) => bytes.readFloatLE()],
  ['i8', (bytes: Buffer) => Number(bytes.readBigInt64LE())],
  ['i4', (bytes: Buffer) => bytes.readInt32LE()],
  ['b1', (bytes: Buffer) => bytes.readUInt8()],
]);

function isData(item: Item): item is TorchValue {
  return (
    item === null ||
    typeof item !== 'object' ||
    Array.isArray(item) ||
    item instanceof Map ||
    item instanceof TorchTensor ||
    item instanceof TorchText
  );
}

function isCount(item: unknown): item is number {
  return typeof item === 'number' && Number.isSafeInteger(item) && item >= 0;
}

function counts(item: Item | undefined): number[] | undefined {
  const items = item instanceof Tuple ? item.items : undefined;
  return items?.every(isCount) ? [...items] : undefined;
}
