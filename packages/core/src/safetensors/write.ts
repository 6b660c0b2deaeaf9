import { ScorerError } from '../errors/index.js';
import { createAtomicFile } from '../files/index.js';
import { type Dtype, dtypeBits } from './dtype.js';
import { LENGTH_BYTES, MAX_HEADER_BYTES, type TensorInfo, tensorBytes } from './header.js';
import { LONE_SURROGATE } from './json-cursor.js';

export interface TensorSpec {
  name: string;
  dtype: Dtype;
  shape: readonly number[];
}

export interface TensorWithData extends TensorSpec {
  /** The elements, little endian, row-major: as many bytes as dtype and shape say. */
  data: ArrayBufferView;
}

export interface SafetensorsPlan {
  /** The file's first bytes: length, header, padding. */
  header: Uint8Array;
  /** In the order in which their data must follow the header. */
  tensors: readonly TensorInfo[];
  fileSize: number;
}

/** The data start at a multiple of this, and tensors stand by falling element size: so each is aligned to its own. */
const ALIGNMENT = 8;

/**
 * The header of a file with these tensors, the same bytes for the same set in whatever order: tensors by falling
 * element size, then by name; metadata by key. Names are compared by their UTF-8 bytes.
 * @throws ScorerError `SAFETENSORS_BAD_NAME`, `SAFETENSORS_SHAPE_OVERFLOW`, `SAFETENSORS_PARTIAL_BYTE`,
 * `SAFETENSORS_HEADER_TOO_LARGE`
 */
export function planSafetensors(
  specs: readonly TensorSpec[],
  metadata: Readonly<Record<string, string>> = {},
): SafetensorsPlan {
  const sorted = specs.toSorted((a, b) => dtypeBits(b.dtype) - dtypeBits(a.dtype) || compareText(a.name, b.name));
  checkNames(sorted, metadata);

  const sizes = sorted.map(({ dtype, shape, name }) => tensorBytes(dtype, shape, `tensor ${JSON.stringify(name)}`));
  const entries: string[] = [];
  const metadataKeys = Object.keys(metadata).sort(compareText);
  if (metadataKeys.length > 0) {
    const pairs = metadataKeys.map((key) => `${JSON.stringify(key)}:${JSON.stringify(metadata[key])}`);
    entries.push(`"__metadata__":{${pairs.join(',')}}`);
  }
  let offset = 0;
  for (const [i, { name, dtype, shape }] of sorted.entries()) {
    const end = offset + sizes[i]!;
    entries.push(`${JSON.stringify(name)}:{"dtype":"${dtype}","shape":[${shape}],"data_offsets":[${offset},${end}]}`);
    offset = end;
  }

  const json = Buffer.from(`{${entries.join(',')}}`);
  const length = Math.ceil(json.length / ALIGNMENT) * ALIGNMENT;
  if (length > MAX_HEADER_BYTES) {
    throw new ScorerError({
      code: 'SAFETENSORS_HEADER_TOO_LARGE',
      what: `the header takes ${length} bytes, ${MAX_HEADER_BYTES} are allowed`,
      hint: 'put less into the metadata or fewer tensors into one file',
    });
  }
  const header = new Uint8Array(LENGTH_BYTES + length).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(length), true);
  header.set(json, LENGTH_BYTES);

  let start = header.length;
  const tensors = sorted.map(({ name, dtype, shape }, i): TensorInfo => {
    const end = start + sizes[i]!;
    const info = { name, dtype, shape, start, end };
    start = end;
    return info;
  });
  return { header, tensors, fileSize: start };
}

/**
 * Writes tensors that are in memory as one file, atomically and durably. The bytes depend on the content alone.
 * @throws ScorerError the codes of `planSafetensors`, `SAFETENSORS_SIZE_MISMATCH`, `DISK_FULL`, …
 */
export async function writeSafetensors(
  path: string,
  tensors: readonly TensorWithData[],
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  const plan = planSafetensors(tensors, metadata);
  const dataOf = new Map(tensors.map(({ name, data }) => [name, data]));
  const file = await createAtomicFile(path);
  try {
    await file.write(plan.header);
    for (const { name, dtype, shape, start, end } of plan.tensors) {
      const data = dataOf.get(name)!;
      if (data.byteLength !== end - start) {
        throw new ScorerError({
          code: 'SAFETENSORS_SIZE_MISMATCH',
          kind: 'usage',
          what: `${dtype} [${shape}] takes ${end - start} bytes, the data have ${data.byteLength}`,
          where: `tensor ${JSON.stringify(name)} of ${path}`,
        });
      }
      await file.write(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    }
    await file.commit();
  } finally {
    await file.discard();
  }
}

function checkNames(sorted: readonly TensorSpec[], metadata: Readonly<Record<string, string>>): void {
  const seen = new Set(['__metadata__']);
  for (const { name } of sorted) {
    if (seen.has(name)) throw badName(`the name ${JSON.stringify(name)} is taken`);
    seen.add(name);
  }
  const texts = [...seen, ...Object.keys(metadata), ...Object.values(metadata)];
  const broken = texts.find((text) => LONE_SURROGATE.test(text));
  if (broken !== undefined) throw badName(`${JSON.stringify(broken)} can't be written as UTF-8`);
}

function badName(what: string): ScorerError {
  return new ScorerError({ code: 'SAFETENSORS_BAD_NAME', kind: 'usage', what });
}

function compareText(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
