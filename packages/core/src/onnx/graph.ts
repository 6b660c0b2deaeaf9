import { ATTRIBUTE_TYPE, DATA_TYPE, EXTERNAL, encodeModel } from './proto.js';

export type ElementType = keyof typeof DATA_TYPE;

/** A fixed length, or the name of one that is known at run time only. */
export type Dimension = number | string;

/** A value inside a graph: an input, an initializer or a node's output. */
export interface Value {
  readonly name: string;
}

/** `float` marks a number that ONNX wants as a FLOAT attribute; a plain number is an INT. */
export type Attribute = number | string | readonly number[] | { float: number } | { floats: readonly number[] } | Graph;

/** Where the bytes of an initializer lie in a file beside the model. */
export interface ExternalBytes {
  /** File name relative to the session's folder of external data. */
  location: string;
  /** In bytes from the start of that file. */
  offset: number;
  length: number;
}

export interface NodeOptions {
  attributes?: Readonly<Record<string, Attribute | undefined>>;
  /** Operator set; the default is ONNX's own. */
  domain?: 'com.microsoft';
  /** Number of outputs, 1 by default. */
  outputs?: number;
}

/** An ONNX graph under construction. Nodes must be added after the values that they read. */
export interface Graph {
  input(name: string, type: ElementType, shape: readonly Dimension[]): Value;
  /** An initializer whose bytes are written into the model, little-endian. */
  constant(type: ElementType, shape: readonly number[], data: ArrayBufferView, name?: string): Value;
  /** An initializer whose bytes ONNX Runtime reads (or maps) straight out of another file, such as model.safetensors. */
  external(name: string, type: ElementType, shape: readonly number[], bytes: ExternalBytes): Value;
  /** Adds a node; an absent optional input is `undefined`. Returns the first output. */
  node(operator: string, inputs: readonly (Value | undefined)[], options?: NodeOptions): Value;
  /** As `node`, for operators with several outputs. */
  nodes(operator: string, inputs: readonly (Value | undefined)[], options: NodeOptions & { outputs: number }): Value[];
  /** `value` converted to another element type. */
  cast(value: Value, to: ElementType): Value;
  /** Names `value` as an output of the graph. */
  output(name: string, value: Value, type: ElementType, shape: readonly Dimension[]): void;
  /** Makes a node's output the next output of the graph under its own name, for bodies, whose outputs go by order. */
  result(value: Value, type: ElementType, shape: readonly Dimension[]): void;
  /** A body for Scan, Loop or If; it sees this graph's values, and its names do not clash with them. */
  subgraph(name: string): Graph;
  /** The graph as a plain object of ONNX's schema, for encoding or for another runtime. */
  toProto(): GraphProto;
}

/** As ONNX's message of this name, in the order of execution. */
export interface GraphProto {
  readonly name: string;
  readonly input: readonly { readonly name: string }[];
  readonly output: readonly { readonly name: string }[];
  readonly initializer: readonly TensorProto[];
  readonly node: readonly NodeProto[];
}

export interface NodeProto {
  readonly name: string;
  readonly opType: string;
  readonly domain?: string;
  /** Names of values; empty for an absent optional input. */
  readonly input: readonly string[];
  readonly output: readonly string[];
  readonly attribute?: readonly AttributeProto[];
}

/** One of the values is there, by the attribute's type. */
export interface AttributeProto {
  readonly name: string;
  readonly type: number;
  readonly i?: number;
  readonly f?: number;
  readonly s?: Uint8Array;
  readonly ints?: readonly number[];
  readonly floats?: readonly number[];
  readonly g?: GraphProto;
}

export interface TensorProto {
  readonly name: string;
  readonly dims: readonly number[];
  /** A number of `DATA_TYPE`. */
  readonly dataType: number;
  /** Little-endian; absent where the bytes lie in another file. */
  readonly rawData?: Uint8Array;
}

const PRODUCER = 'scorer';
const IR_VERSION = 10;
/** 21 is the newest that all supported ONNX Runtimes (≥ 1.20) load. */
const OPSETS = [
  { domain: '', version: 21 },
  { domain: 'com.microsoft', version: 1 },
];

/** @param options `prefix` of the names that are made up, for a graph that is added to another one */
export function createGraph(name: string, { prefix = '' } = {}): Graph {
  return buildGraph(name, { next: 0, prefix });
}

/** The bytes of a complete ONNX model, to be loaded by ONNX Runtime. */
export function encodeGraph(graph: Graph): Uint8Array {
  return encodeModel({ irVersion: IR_VERSION, producerName: PRODUCER, opsetImport: OPSETS, graph: graph.toProto() });
}

/** As `encodeGraph`, for any runtime of the last years: ONNX's own operators alone, in the set of ONNX 1.8. */
export function encodePortableGraph(graph: Graph): Uint8Array {
  const opsetImport = [{ domain: '', version: 13 }];
  return encodeModel({ irVersion: 7, producerName: PRODUCER, opsetImport, graph: graph.toProto() });
}

/** The int64 tensor that shapes, axes and indices are given as. */
export function int64(graph: Graph, values: readonly number[], shape: readonly number[] = [values.length]): Value {
  return graph.constant('int64', shape, BigInt64Array.from(values, BigInt));
}

/** A scalar of float32. */
export function float32(graph: Graph, value: number): Value {
  return graph.constant('float32', [], Float32Array.of(value));
}

function buildGraph(graphName: string, counter: { next: number; prefix: string }): Graph {
  const inputs: { name: string }[] = [];
  const outputs: { name: string }[] = [];
  const initializers: TensorProto[] = [];
  const nodes: NodeProto[] = [];
  const fresh = (stem: string): string => `${counter.prefix}${stem}_${counter.next++}`;

  const graph: Graph = {
    input(name, type, shape) {
      inputs.push(valueInfo(name, type, shape));
      return { name };
    },
    constant(type, shape, data, name = fresh('constant')) {
      const rawData = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
      initializers.push({ name, dims: shape, dataType: DATA_TYPE[type], rawData });
      return { name };
    },
    external(name, type, shape, { location, offset, length }) {
      const externalData = Object.entries({ location, offset, length }).map(([key, value]) => ({
        key,
        value: String(value),
      }));
      const place = { dataLocation: EXTERNAL, externalData };
      initializers.push({ name, dims: shape, dataType: DATA_TYPE[type], ...place });
      return { name };
    },
    node: (operator, values, options) => graph.nodes(operator, values, { outputs: 1, ...options })[0]!,
    nodes(operator, values, { attributes = {}, domain = '', outputs: count }) {
      const name = fresh(operator);
      const output = Array.from({ length: count }, (_, i) => (count === 1 ? name : `${name}.${i}`));
      nodes.push({
        name,
        opType: operator,
        domain,
        input: values.map((value) => value?.name ?? ''),
        output,
        attribute: Object.entries(attributes).flatMap(([key, value]) =>
          value === undefined ? [] : [attribute(key, value)],
        ),
      });
      return output.map((outputName) => ({ name: outputName }));
    },
    cast: (value, to) => graph.node('Cast', [value], { attributes: { to: DATA_TYPE[to] } }),
    output(name, value, type, shape) {
      nodes.push({ name: fresh('output'), opType: 'Identity', input: [value.name], output: [name] });
      outputs.push(valueInfo(name, type, shape));
    },
    result(value, type, shape) {
      outputs.push(valueInfo(value.name, type, shape));
    },
    subgraph: (name) => buildGraph(name, counter),
    toProto: () => ({ name: graphName, input: inputs, output: outputs, initializer: initializers, node: nodes }),
  };
  return graph;
}

function valueInfo(name: string, type: ElementType, shape: readonly Dimension[]): { name: string } {
  const dim = shape.map((length) => (typeof length === 'number' ? { dimValue: length } : { dimParam: length }));
  const info = { name, type: { tensorType: { elemType: DATA_TYPE[type], shape: { dim } } } };
  return info;
}

function attribute(name: string, value: Attribute): AttributeProto {
  if (typeof value === 'number') return { name, type: ATTRIBUTE_TYPE.int, i: value };
  if (typeof value === 'string') return { name, type: ATTRIBUTE_TYPE.string, s: Buffer.from(value) };
  if ('toProto' in value) return { name, type: ATTRIBUTE_TYPE.graph, g: value.toProto() };
  if ('float' in value) return { name, type: ATTRIBUTE_TYPE.float, f: value.float };
  if ('floats' in value) return { name, type: ATTRIBUTE_TYPE.floats, floats: value.floats };
  return { name, type: ATTRIBUTE_TYPE.ints, ints: value };
}
