import { realpath } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { z } from 'zod';
import { ScorerError } from '../../errors/index.js';
import { readSmallFile } from '../../files/index.js';
import type { Dimension, ElementType, ExternalBytes } from '../graph.js';
import { DATA_TYPE, decodeMessage, EXTERNAL, encodeTensor, fieldsOf } from '../proto.js';
import { checkExternalData } from './external-data.js';

/** An .onnx file that exists already: what its graph consists of, with the messages as they stand in the file. */
export interface OnnxModel {
  /** The folder that the initializers' locations are in. */
  readonly folder: string;
  /** The .onnx file itself and those of its data, by their location in the folder. */
  readonly files: readonly string[];
  /** What has to be fed. */
  readonly inputs: readonly OnnxTensor[];
  readonly outputs: readonly OnnxTensor[];
  /** In the order of execution. */
  readonly nodes: readonly OnnxNode[];
  readonly initializers: ReadonlyMap<string, OnnxInitializer>;
  /** The fields beside the graph: IR version, operator sets, functions. */
  readonly rest: Uint8Array;
}

/** An input or output of the graph. */
export interface OnnxTensor {
  readonly name: string;
  /** Undefined for types that this package has no name for. */
  readonly type: ElementType | undefined;
  /** Undefined where the file does not tell; a dimension that it does not name is `?`. */
  readonly shape: readonly Dimension[] | undefined;
  /** The number of `type`, also of those without a name. */
  readonly typeNumber: number;
}

export interface OnnxNode {
  readonly name: string;
  readonly operator: string;
  /** Names of values; empty for an absent optional one. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Names that the bodies of a Loop, If or Scan may take from outside. */
  readonly captured: readonly string[];
  /** A tensor in its attributes or bodies lies in another file. */
  readonly refersToFiles: boolean;
  readonly bytes: Uint8Array;
}

export interface OnnxInitializer {
  readonly dims: readonly number[];
  /** The TensorProto; weights are references to where they lie, also those inside of the .onnx file. */
  readonly bytes: Uint8Array;
  /** Where it is a reference: what it refers to. */
  readonly data?: ExternalBytes | undefined;
}

/** Protobuf's own limit. */
const MAX_MODEL_BYTES = 2 ** 31 - 1;

/** Initializers from this size on are referred to where they lie instead of copied. */
const REFERENCE_BYTES = 1024;

/** Field numbers of onnx.proto3. */
const MODEL_GRAPH = 7;
const GRAPH = { node: 1, initializer: 5, sparseInitializer: 15, input: 11, output: 12 } as const;

/** Bits of an element, by number of `TensorProto.DataType`; strings have none. */
const ELEMENT_BITS: Readonly<Record<number, number>> = {
  ...{ 1: 32, 2: 8, 3: 8, 4: 16, 5: 16, 6: 32, 7: 64, 9: 8, 10: 16, 11: 64, 12: 32, 13: 64, 14: 64, 15: 128, 16: 16 },
  ...{ 17: 8, 18: 8, 19: 8, 20: 8, 21: 4, 22: 4, 23: 4 },
};

const NAMES: ReadonlyMap<number, ElementType> = new Map(
  Object.entries(DATA_TYPE).map(([name, number]) => [number, name as ElementType]),
);

/**
 * Reads an .onnx file and checks where its tensors lie. Weights are not kept in memory.
 * @throws ScorerError `FILE_NOT_FOUND`, `ONNX_INVALID`, and the codes of `checkExternalData`
 */
export async function readOnnxModel(path: string): Promise<OnnxModel> {
  const file = await readSmallFile(path, MAX_MODEL_BYTES, (size) =>
    invalid(path, `it has ${size} bytes, and an .onnx file can't have that many`),
  );
  const fields = parseModel(path, () => modelFields(file));

  const place = await placeOf(path, fields.initializers);
  const sizes = new Map<string, number>();
  const check = (tensor: TensorMessage) =>
    checkExternalData(place.folder, { name: tensor.name, bytes: byteLength(tensor) }, tensor.externalData, sizes);

  const initializers = new Map<string, OnnxInitializer>();
  for (const { tensor, message } of fields.initializers) {
    const external = tensor.dataLocation === EXTERNAL ? await check(tensor) : undefined;
    const within = place.isReferable ? placeInFile(tensor, file, place.location) : undefined;
    const whole = { dims: tensor.dims, bytes: copy(message), data: external };
    initializers.set(tensor.name, within ? referTo(whole, within) : whole);
  }
  for (const tensor of fields.nodes.flatMap(({ tensors }) => tensors)) {
    if (tensor.dataLocation === EXTERNAL) await check(tensor);
  }

  return {
    folder: place.folder,
    files: [place.location, ...sizes.keys()],
    inputs: fields.inputs.filter(({ name }) => !initializers.has(name)),
    outputs: fields.outputs,
    nodes: fields.nodes.map(({ node }) => node),
    initializers,
    rest: fields.rest,
  };
}

/** Everything of the file, decoded as far as it is looked at. */
function modelFields(file: Uint8Array) {
  const rest: Uint8Array[] = [];
  const inputs: OnnxTensor[] = [];
  const outputs: OnnxTensor[] = [];
  const nodes: { node: OnnxNode; tensors: TensorMessage[] }[] = [];
  const initializers: { tensor: TensorMessage; message: Uint8Array }[] = [];
  let graphs = 0;
  for (const { number, whole, payload } of fieldsOf(file)) {
    if (number !== MODEL_GRAPH) {
      rest.push(whole);
      continue;
    }
    graphs += 1;
    for (const { number, payload: message } of fieldsOf(payload!)) {
      if (number === GRAPH.node) nodes.push(readNode(message!));
      if (number === GRAPH.initializer) {
        initializers.push({ tensor: tensorSchema.parse(decodeMessage('TensorProto', message!)), message: message! });
      }
      if (number === GRAPH.sparseInitializer) throw new Error('sparse weights are not supported');
      if (number === GRAPH.input) inputs.push(readTensor(message!));
      if (number === GRAPH.output) outputs.push(readTensor(message!));
    }
  }
  if (graphs !== 1 || nodes.length === 0 || outputs.length === 0) throw new Error('there is no graph in it');
  return { rest: new Uint8Array(Buffer.concat(rest)), inputs, outputs, nodes, initializers };
}

const dimensions = z.array(z.int().nonnegative());

const tensorSchema = z.object({
  name: z.string().default(''),
  dims: dimensions,
  dataType: z.int(),
  dataLocation: z.int().default(0),
  rawData: z.instanceof(Uint8Array).optional(),
  externalData: z.array(z.object({ key: z.string(), value: z.string().default('') })),
});
type TensorMessage = z.output<typeof tensorSchema>;

const names = z.array(z.string());

const nodeSchema = z.object({
  name: z.string().default(''),
  opType: z.string(),
  input: names,
  output: names,
  attribute: z.array(z.record(z.string(), z.unknown())),
});

const valueInfoSchema = z.object({
  name: z.string(),
  type: z
    .object({
      tensorType: z
        .object({
          elemType: z.int().default(0),
          shape: z
            .object({
              dim: z.array(z.object({ dimValue: z.int().optional(), dimParam: z.string().optional() })),
            })
            .optional(),
        })
        .optional(),
    })
    .optional(),
});

function readTensor(message: Uint8Array): OnnxTensor {
  const { name, type } = valueInfoSchema.parse(decodeMessage('ValueInfoProto', message));
  const typeNumber = type?.tensorType?.elemType ?? 0;
  const shape = type?.tensorType?.shape?.dim.map(({ dimValue, dimParam }) => dimParam || (dimValue ?? '?'));
  return { name, type: NAMES.get(typeNumber), typeNumber, shape };
}

export function readNode(message: Uint8Array): { node: OnnxNode; tensors: TensorMessage[] } {
  const decoded = decodeMessage('NodeProto', message);
  const { name, opType, input, output } = nodeSchema.parse(decoded);
  const captured = new Set<string>();
  const tensors: TensorMessage[] = [];
  collect(decoded, { captured, tensors, depth: 0 });
  const node = {
    name,
    operator: opType,
    inputs: input,
    outputs: output,
    captured: [...captured],
    refersToFiles: tensors.some(({ dataLocation }) => dataLocation === EXTERNAL),
    bytes: copy(message),
  };
  return { node, tensors };
}

/** Names that the bodies in a node's attributes read, and the tensors in its attributes and bodies. */
function collect(
  node: Record<string, unknown>,
  into: { captured: Set<string>; tensors: TensorMessage[]; depth: number },
): void {
  for (const attribute of nodeSchema.parse(node).attribute) {
    const tensors = [attribute.t, ...list(attribute.tensors)];
    for (const tensor of tensors) if (tensor !== undefined) into.tensors.push(tensorSchema.parse(tensor));
    for (const body of [attribute.g, ...list(attribute.graphs)]) {
      if (body === undefined) continue;
      const { node: nodes, initializer, output } = bodySchema.parse(body);
      for (const tensor of initializer) into.tensors.push(tensor);
      for (const { name } of output) into.captured.add(name);
      for (const inner of nodes) {
        for (const name of nodeSchema.parse(inner).input) into.captured.add(name);
        collect(inner, into);
      }
    }
  }
}

const bodySchema = z.object({
  node: z.array(z.record(z.string(), z.unknown())),
  initializer: z.array(tensorSchema),
  output: z.array(z.object({ name: z.string() })),
});

function list(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

/**
 * Where the initializers are looked for. An .onnx file behind a symbolic link (Hugging Face's cache) can be referred to
 * only in the folder where it really lies, so it must then hold all its weights itself.
 */
async function placeOf(
  path: string,
  initializers: readonly { tensor: TensorMessage }[],
): Promise<{ folder: string; location: string; isReferable: boolean }> {
  const real = await realpath(path);
  const folder = await realpath(dirname(path));
  if (real === join(folder, basename(path))) return { folder, location: basename(path), isReferable: true };
  const isWhole = initializers.every(({ tensor }) => tensor.dataLocation !== EXTERNAL);
  if (isWhole) return { folder: dirname(real), location: basename(real), isReferable: true };
  return { folder, location: basename(path), isReferable: false };
}

/** Where the tensor's bytes lie in the .onnx file; undefined where a reference is not worth it or not possible. */
function placeInFile(tensor: TensorMessage, file: Buffer, location: string): ExternalBytes | undefined {
  const { rawData } = tensor;
  if (tensor.dataLocation === EXTERNAL || !rawData || rawData.length < REFERENCE_BYTES) return undefined;
  return { location, offset: rawData.byteOffset - file.byteOffset, length: rawData.length };
}

/** A tensor of a body, as it stands there; where it lies was checked when the model was read. */
export function readInitializer(message: Uint8Array): OnnxInitializer & { name: string } {
  const tensor = tensorSchema.parse(decodeMessage('TensorProto', message));
  const values = new Map(tensor.externalData.map(({ key, value }) => [key, value]));
  const [offset, length] = ['offset', 'length'].map((key) => Number(values.get(key) ?? 0)) as [number, number];
  const data = { location: values.get('location') ?? '', offset, length: length || (byteLength(tensor) ?? 0) };
  const isExternal = tensor.dataLocation === EXTERNAL;
  return { name: tensor.name, dims: tensor.dims, bytes: copy(message), data: isExternal ? data : undefined };
}

/** The same tensor with its bytes at another place. */
export function referTo({ bytes }: OnnxInitializer, data: ExternalBytes): OnnxInitializer {
  const { name, dims, dataType } = tensorSchema.parse(decodeMessage('TensorProto', bytes));
  const externalData = Object.entries(data).map(([key, value]) => ({ key, value: String(value) }));
  return { dims, bytes: encodeTensor({ name, dims, dataType, dataLocation: EXTERNAL, externalData }), data };
}

function byteLength({ dims, dataType }: TensorMessage): number | undefined {
  const bits = ELEMENT_BITS[dataType];
  if (bits === undefined) return undefined;
  return Math.ceil((dims.reduce((product, length) => product * length, 1) * bits) / 8);
}

/** Bytes without the file around them. */
function copy(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes);
}

/** @throws ScorerError `ONNX_INVALID` where `read` fails */
export function parseModel<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (cause instanceof ScorerError) throw cause;
    const why = cause instanceof z.ZodError ? cause.issues[0]!.message : (cause as Error).message;
    throw invalid(path, why, cause);
  }
}

function invalid(where: string, why: string, cause?: unknown): ScorerError {
  return new ScorerError({
    code: 'ONNX_INVALID',
    what: `not a readable ONNX model: ${why}`,
    where,
    hint: 'fetch or export it again',
    cause,
  });
}
