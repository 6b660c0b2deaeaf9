import protobuf from 'protobufjs/light.js';

/**
 * The messages of ONNX's protobuf schema (onnx.proto3, IR version 10) that a graph of tensors uses, by field number.
 * Types that we neither write nor read (sequences, maps, training info) are left out.
 */
const MESSAGES: Record<string, Record<string, [type: string, id: number, rule?: 'repeated']>> = {
  ModelProto: {
    irVersion: ['int64', 1],
    producerName: ['string', 2],
    graph: ['GraphProto', 7],
    opsetImport: ['OperatorSetIdProto', 8, 'repeated'],
  },
  OperatorSetIdProto: { domain: ['string', 1], version: ['int64', 2] },
  GraphProto: {
    node: ['NodeProto', 1, 'repeated'],
    name: ['string', 2],
    initializer: ['TensorProto', 5, 'repeated'],
    input: ['ValueInfoProto', 11, 'repeated'],
    output: ['ValueInfoProto', 12, 'repeated'],
  },
  NodeProto: {
    input: ['string', 1, 'repeated'],
    output: ['string', 2, 'repeated'],
    name: ['string', 3],
    opType: ['string', 4],
    attribute: ['AttributeProto', 5, 'repeated'],
    domain: ['string', 7],
  },
  AttributeProto: {
    name: ['string', 1],
    f: ['float', 2],
    i: ['int64', 3],
    s: ['bytes', 4],
    t: ['TensorProto', 5],
    g: ['GraphProto', 6],
    graphs: ['GraphProto', 11, 'repeated'],
    tensors: ['TensorProto', 10, 'repeated'],
    floats: ['float', 7, 'repeated'],
    ints: ['int64', 8, 'repeated'],
    type: ['int32', 20],
  },
  TensorProto: {
    dims: ['int64', 1, 'repeated'],
    dataType: ['int32', 2],
    name: ['string', 8],
    rawData: ['bytes', 9],
    externalData: ['StringStringEntryProto', 13, 'repeated'],
    dataLocation: ['int32', 14],
  },
  StringStringEntryProto: { key: ['string', 1], value: ['string', 2] },
  ValueInfoProto: { name: ['string', 1], type: ['TypeProto', 2] },
  TypeProto: { tensorType: ['TensorTypeProto', 1] },
  TensorTypeProto: { elemType: ['int32', 1], shape: ['TensorShapeProto', 2] },
  TensorShapeProto: { dim: ['DimensionProto', 1, 'repeated'] },
  DimensionProto: { dimValue: ['int64', 1], dimParam: ['string', 2] },
};

/** `TensorProto.DataType` */
export const DATA_TYPE = {
  float32: 1,
  uint8: 2,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  float64: 11,
  bfloat16: 16,
} as const;

/** `AttributeProto.AttributeType` */
export const ATTRIBUTE_TYPE = { float: 1, int: 2, string: 3, graph: 5, floats: 6, ints: 7 } as const;

/** `TensorProto.DataLocation.EXTERNAL` */
export const EXTERNAL = 1;

const root = defineMessages();

export function encodeModel(model: object): Uint8Array {
  return root.lookupType('ModelProto').encode(model).finish();
}

export function encodeGraphProto(graph: object): Uint8Array {
  return root.lookupType('GraphProto').encode(graph).finish();
}

export function encodeTensor(tensor: object): Uint8Array {
  return root.lookupType('TensorProto').encode(tensor).finish();
}

export function encodeNode(node: object): Uint8Array {
  return root.lookupType('NodeProto').encode(node).finish();
}

export function encodeValueInfo(value: object): Uint8Array {
  return root.lookupType('ValueInfoProto').encode(value).finish();
}

/**
 * A message as a plain object with arrays for its repeated fields; fields that `MESSAGES` does not list are left out.
 * Bytes are views of the message's.
 * @throws Error where the bytes are no such message, or nested deeper than protobufjs allows
 */
export function decodeMessage(
  type: 'NodeProto' | 'TensorProto' | 'ValueInfoProto' | 'OperatorSetIdProto',
  bytes: Uint8Array,
): Record<string, unknown> {
  const message = root.lookupType(type);
  return message.toObject(message.decode(bytes), { arrays: true, longs: Number });
}

/** A field of a message as it lies in the bytes. */
export interface WireField {
  readonly number: number;
  /** Tag, length and payload. */
  readonly whole: Uint8Array;
  /** Of a string, bytes or message; undefined for a number. */
  readonly payload: Uint8Array | undefined;
}

/** Protobuf's wire type of strings, bytes and messages. */
const LENGTH_DELIMITED = 2;

/**
 * The fields of a message in their order, without looking into them.
 * @throws RangeError where one goes past the end
 */
export function* fieldsOf(bytes: Uint8Array): Generator<WireField> {
  const reader = protobuf.Reader.create(bytes);
  while (reader.pos < reader.len) {
    const start = reader.pos;
    const tag = reader.uint32();
    const wireType = tag & 7;
    const payload = wireType === LENGTH_DELIMITED ? reader.bytes() : undefined;
    if (wireType !== LENGTH_DELIMITED) reader.skipType(wireType);
    yield { number: tag >>> 3, whole: bytes.subarray(start, reader.pos), payload };
  }
}

/** Tag, length and payload of a field. */
export function encodeField(number: number, payload: Uint8Array): Uint8Array {
  return protobuf.Writer.create()
    .uint32((number << 3) | LENGTH_DELIMITED)
    .bytes(payload)
    .finish();
}

function defineMessages(): protobuf.Root {
  const root = new protobuf.Root();
  for (const [name, fields] of Object.entries(MESSAGES)) {
    const message = new protobuf.Type(name);
    for (const [field, [type, id, rule]] of Object.entries(fields)) {
      message.add(new protobuf.Field(field, id, type, rule));
    }
    root.add(message);
  }
  return root;
}
