import type { AttributeProto, GraphProto, NodeProto, TensorProto } from '@scorer/core/onnx';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { Tensorflow } from './tfjs-backend.js';

/**
 * Runs ONNX graphs of this project on TensorFlow.js: a table of their operators, a loop over their nodes. So both
 * engines compute the same network, loss, gradients and Adam, and a new loss is written once.
 */

/** Shapes, axes and sizes stay in JavaScript, where TensorFlow.js wants them. */
type Integers = readonly number[];
type Value = Tensor | Integers;

export interface TfjsGraph {
  /**
   * Values of the outputs that are asked for, by name; the caller disposes of them.
   * @param inputs by name; they are left alone
   */
  run(inputs: ReadonlyMap<string, Tensor>, fetch: readonly string[]): Map<string, Tensor>;
}

export function tfjsGraph(tf: Tensorflow, graph: GraphProto): TfjsGraph {
  const evaluate = evaluator(tf, graph);
  return {
    run(inputs, fetch) {
      const outputs = tf.tidy(() => {
        const values = evaluate(inputs, new Map());
        // A clone, since an output may be one of the inputs.
        return fetch.map((name) => tf.clone(tensorOf(values.get(name), name)));
      });
      return new Map(fetch.map((name, i) => [name, outputs[i]!]));
    },
  };
}

type Scope = ReadonlyMap<string, Value>;

/** The values of all nodes of a graph for given inputs; a body sees those of the graph around it as well. */
type Evaluate = (inputs: Scope, outer: Scope) => Scope;

function evaluator(tf: Tensorflow, graph: GraphProto): Evaluate {
  const constants = graph.initializer.map((proto): [string, Value] => [proto.name, constantOf(tf, proto)]);
  const nodes = graph.node.map((node) => ({ node, compute: operatorOf(tf, node) }));
  return (inputs, outer) => {
    const values = new Map([...outer, ...constants, ...inputs]);
    for (const { node, compute } of nodes) {
      const operands = node.input.map((name) => values.get(name)!);
      for (const [i, result] of compute(operands, values).entries()) values.set(node.output[i]!, result);
    }
    return values;
  };
}

type Compute = (inputs: readonly Value[], scope: Scope) => readonly Value[];

function operatorOf(tf: Tensorflow, node: NodeProto): Compute {
  const attributes = new Map((node.attribute ?? []).map((attribute) => [attribute.name, attribute]));
  if (node.opType === 'Scan') return scanOf(tf, attributes);
  const operator = OPERATORS[node.opType];
  if (!operator) throw new TypeError(`the operator ${node.opType} is not known on TensorFlow.js`);
  const flag = (name: string, otherwise: number): boolean => (attributes.get(name)?.i ?? otherwise) === 1;
  return (inputs) => [operator(tf, inputs, { flag })];
}

interface NodeAttributes {
  flag(name: string, otherwise: number): boolean;
}

type Operator = (tf: Tensorflow, inputs: readonly Value[], attributes: NodeAttributes) => Value;

const unary =
  (compute: (tf: Tensorflow, x: Tensor) => Tensor): Operator =>
  (tf, [x]) =>
    compute(tf, tensorOf(x));

const binary =
  (compute: (tf: Tensorflow, a: Tensor, b: Tensor) => Tensor): Operator =>
  (tf, [a, b]) =>
    compute(tf, tensorOf(a), tensorOf(b));

/** ONNX's operators, as https://onnx.ai/onnx/operators defines them, where the graphs use them. */
const OPERATORS: Readonly<Record<string, Operator>> = {
  Add: binary((tf, a, b) => tf.add(a, b)),
  Sub: binary((tf, a, b) => tf.sub(a, b)),
  Mul: binary((tf, a, b) => tf.mul(a, b)),
  Div: (tf, [a, b]) =>
    isIntegers(a) && isIntegers(b) ? a.map((x, i) => Math.trunc(x / b[i]!)) : tf.div(tensorOf(a), tensorOf(b)),
  Neg: unary((tf, x) => tf.neg(x)),
  Sqrt: unary((tf, x) => tf.sqrt(x)),
  Sign: unary((tf, x) => tf.sign(x)),
  Relu: unary((tf, x) => tf.relu(x)),
  Sigmoid: unary((tf, x) => tf.sigmoid(x)),
  Softplus: unary((tf, x) => tf.softplus(x)),
  Equal: binary((tf, a, b) => tf.equal(a, b)),
  Greater: binary((tf, a, b) => tf.greater(a, b)),
  And: binary((tf, a, b) => tf.logicalAnd(a, b)),
  Identity: (_, [x]) => x!,
  Gemm: (tf, [a, b], { flag }) => tf.matMul(tensorOf(a), tensorOf(b), flag('transA', 0), flag('transB', 0)),
  ReduceSum: (tf, [x, axes], { flag }) => tf.sum(tensorOf(x), [...integersOf(axes)], flag('keepdims', 1)),
  ReduceMean: (tf, [x, axes], { flag }) => tf.mean(tensorOf(x), [...integersOf(axes)], flag('keepdims', 1)),
  Shape: (_, [x]) => tensorOf(x).shape,
  Size: (_, [x]) => [tensorOf(x).size],
  Reshape: (tf, [x, shape]) => tf.reshape(tensorOf(x), [...integersOf(shape)]),
  Unsqueeze: (tf, [x, axes]) => integersOf(axes).reduce((y, axis) => tf.expandDims(y, axis), tensorOf(x)),
  Expand: (tf, [x, shape]) => tf.broadcastTo(tensorOf(x), [...integersOf(shape)]),
  // All numbers are float32 in TensorFlow.js but int32 and bool.
  Cast: (tf, [x]) => (isIntegers(x) ? tf.scalar(x[0]!) : tf.cast(x!, 'float32')),
};

/** Runs a body once for each entry of the last `num_scan_inputs` inputs, with the first ones as its state. */
function scanOf(tf: Tensorflow, attributes: ReadonlyMap<string, AttributeProto>): Compute {
  const body = attributes.get('body')!.g!;
  const states = body.input.length - attributes.get('num_scan_inputs')!.i!;
  const evaluate = evaluator(tf, body);
  return (inputs, scope) => {
    const sequences = inputs.slice(states).map((sequence) => tensorOf(sequence));
    let state = inputs.slice(0, states).map((value) => tensorOf(value));
    const results: Tensor[][] = body.output.slice(states).map(() => []);
    for (let k = 0; k < sequences[0]!.shape[0]!; k++) {
      const previous = state;
      const outputs = tf.tidy(() => {
        const entries = [...previous, ...sequences.map((sequence) => tf.squeeze(tf.slice(sequence, [k], [1]), [0]))];
        const values = evaluate(new Map(body.input.map(({ name }, i) => [name, entries[i]!])), scope);
        return body.output.map(({ name }) => tensorOf(values.get(name), name));
      });
      state = outputs.slice(0, states);
      for (const [i, result] of outputs.slice(states).entries()) results[i]!.push(result);
      // The first state is the caller's.
      if (k > 0) tf.dispose(previous);
    }
    return [...state, ...results.map((values) => tf.stack(values))];
  };
}

const FLOAT32 = 1;
const INT64 = 7;
const FLOAT64 = 11;

function constantOf(tf: Tensorflow, { name, dims, dataType, rawData }: TensorProto): Value {
  // Copied to where any array may begin.
  const bytes = Uint8Array.from(rawData!).buffer;
  if (dataType === INT64) return Array.from(new BigInt64Array(bytes), Number);
  if (dataType === FLOAT64) return tf.tensor(Float32Array.from(new Float64Array(bytes)), [...dims]);
  if (dataType === FLOAT32) return tf.tensor(new Float32Array(bytes), [...dims]);
  throw new TypeError(`constant ${name} is of the element type ${dataType}, not known on TensorFlow.js`);
}

function isIntegers(value: Value | undefined): value is Integers {
  return Array.isArray(value);
}

function integersOf(value: Value | undefined): Integers {
  if (isIntegers(value)) return value;
  throw new TypeError('integers are needed here');
}

function tensorOf(value: Value | undefined, name = 'a value'): Tensor {
  if (value && !isIntegers(value)) return value as Tensor;
  throw new TypeError(`${name} is no tensor`);
}
