import { type Dimension, type ElementType, type Graph, int64, type Value } from './graph.js';

/** A value of a graph with its type and shape. What an operator made knows its operands, so that `gradients` can go back. */
export interface Tensor extends Value {
  readonly type: ElementType;
  readonly shape: readonly Dimension[];
  /** None for inputs, constants and results through which no gradient flows. */
  readonly operands: readonly Operand[];
}

export interface Operand {
  readonly tensor: Tensor;
  /** Vector-Jacobian product: from the loss's gradient by the operator's result to that by this operand. */
  readonly pullback: (gradient: Tensor) => Tensor;
}

export interface MatMulOptions {
  transposeA?: boolean;
  transposeB?: boolean;
}

export interface ReduceOptions {
  /** Axes to reduce; all of them where left out. */
  axes?: readonly number[];
  /** Leaves each reduced axis in place with length 1. */
  keepDims?: boolean;
}

/**
 * Operators that carry types and shapes while a graph is built, and each its own derivative. Two shapes broadcast as in
 * numpy; a dimension known by name only equals the same name alone. Operands of one operator must agree in type.
 * Shapes or types that do not fit throw a RangeError: the mistake is in the code that builds the graph.
 */
export interface TensorOps {
  readonly graph: Graph;
  input(name: string, type: ElementType, shape: readonly Dimension[]): Tensor;
  constant(type: ElementType, shape: readonly number[], data: ArrayBufferView): Tensor;
  scalar(value: number, type?: ElementType): Tensor;
  /** Any value of the graph as a tensor through which no gradient flows. */
  tensor(value: Value, type: ElementType, shape: readonly Dimension[]): Tensor;
  output(name: string, tensor: Tensor): void;
  /** As `Graph.result`. */
  result(tensor: Tensor): void;

  add(a: Tensor, b: Tensor): Tensor;
  sub(a: Tensor, b: Tensor): Tensor;
  mul(a: Tensor, b: Tensor): Tensor;
  div(a: Tensor, b: Tensor): Tensor;
  sqrt(x: Tensor): Tensor;
  /** a·b of two matrices, [M, K] × [K, N] → [M, N]; a transposed operand has its two axes swapped. */
  matMul(a: Tensor, b: Tensor, options?: MatMulOptions): Tensor;
  /** max(x, 0); its derivative at 0 is 0, as in PyTorch. */
  relu(x: Tensor): Tensor;
  /** 1 / (1 + e^−x) */
  sigmoid(x: Tensor): Tensor;
  /** log(1 + e^x), without overflow for large x. */
  softplus(x: Tensor): Tensor;
  sum(x: Tensor, options?: ReduceOptions): Tensor;
  mean(x: Tensor, options?: ReduceOptions): Tensor;
  cast(x: Tensor, type: ElementType): Tensor;
  /** At most one dimension of `shape` may be a name; its length follows from the rest. */
  reshape(x: Tensor, shape: readonly Dimension[]): Tensor;
  /** Rows of `x` along its first axis: x [N, …], indices int64 [M] → [M, …]. */
  gather(x: Tensor, indices: Tensor): Tensor;

  /** a = b, a > b, a ∧ b elementwise, as bool: steps, which no gradient flows through. */
  equal(a: Tensor, b: Tensor): Tensor;
  greater(a: Tensor, b: Tensor): Tensor;
  and(a: Tensor, b: Tensor): Tensor;
}

export function tensorOps(graph: Graph): TensorOps {
  const tensor = (value: Value, type: ElementType, shape: readonly Dimension[], operands: readonly Operand[] = []) =>
    ({ name: value.name, type, shape, operands }) satisfies Tensor;

  const elementwise = (operator: string, x: Tensor, pullback: (gradient: Tensor, y: Tensor) => Tensor): Tensor => {
    const y: Tensor = tensor(graph.node(operator, [x]), x.type, x.shape, [
      { tensor: x, pullback: (gradient) => pullback(gradient, y) },
    ]);
    return y;
  };

  const broadcasting = (
    operator: string,
    [a, b]: readonly [Tensor, Tensor],
    pullbackA: (gradient: Tensor) => Tensor,
    pullbackB: (gradient: Tensor) => Tensor,
  ): Tensor => {
    requireSameType(operator, a, b);
    const shape = broadcastShape(operator, a.shape, b.shape);
    return tensor(graph.node(operator, [a, b]), a.type, shape, [
      { tensor: a, pullback: (gradient) => sumTo(pullbackA(gradient), a.shape) },
      { tensor: b, pullback: (gradient) => sumTo(pullbackB(gradient), b.shape) },
    ]);
  };

  const compare = (operator: 'Equal' | 'Greater' | 'And', a: Tensor, b: Tensor): Tensor => {
    requireSameType(operator, a, b);
    return tensor(graph.node(operator, [a, b]), 'bool', broadcastShape(operator, a.shape, b.shape));
  };

  /** Undoes broadcasting in a gradient: sums over the axes that the operand does not have, or has once. */
  const sumTo = (gradient: Tensor, shape: readonly Dimension[]): Tensor => {
    const extra = gradient.shape.length - shape.length;
    const leading = Array.from({ length: extra }, (_, axis) => axis);
    const trimmed = extra === 0 ? gradient : ops.sum(gradient, { axes: leading });
    const stretched = shape.flatMap((length, axis) => (length === 1 && trimmed.shape[axis] !== 1 ? [axis] : []));
    return stretched.length === 0 ? trimmed : ops.sum(trimmed, { axes: stretched, keepDims: true });
  };

  const reduce = (
    operator: 'ReduceSum' | 'ReduceMean',
    x: Tensor,
    { axes = x.shape.map((_, axis) => axis), keepDims = false }: ReduceOptions,
    pullback: (expanded: Tensor, y: Tensor) => Tensor,
  ): Tensor => {
    if (axes.length === 0) return x;
    const shape = x.shape.flatMap((length, axis) => (!axes.includes(axis) ? [length] : keepDims ? [1] : []));
    const attributes = { keepdims: Number(keepDims) };
    const expand = (gradient: Tensor): Tensor => {
      const kept = keepDims ? gradient : graph.node('Unsqueeze', [gradient, int64(graph, axes)]);
      return tensor(graph.node('Expand', [kept, graph.node('Shape', [x])]), x.type, x.shape);
    };
    const y: Tensor = tensor(graph.node(operator, [x, int64(graph, axes)], { attributes }), x.type, shape, [
      { tensor: x, pullback: (gradient) => pullback(expand(gradient), y) },
    ]);
    return y;
  };

  const ops: TensorOps = {
    graph,
    input: (name, type, shape) => tensor(graph.input(name, type, shape), type, shape),
    constant: (type, shape, data) => tensor(graph.constant(type, shape, data), type, shape),
    scalar(value, type = 'float32') {
      const exact = graph.constant('float64', [], Float64Array.of(value));
      return tensor(type === 'float64' ? exact : graph.cast(exact, type), type, []);
    },
    tensor: (value, type, shape) => tensor(value, type, shape),
    output: (name, { name: value, type, shape }) => graph.output(name, { name: value }, type, shape),
    result: ({ name, type, shape }) => graph.result({ name }, type, shape),

    add: (a, b) =>
      broadcasting(
        'Add',
        [a, b],
        (g) => g,
        (g) => g,
      ),
    sub: (a, b) =>
      broadcasting(
        'Sub',
        [a, b],
        (g) => g,
        (g) => negate(g),
      ),
    mul: (a, b) =>
      broadcasting(
        'Mul',
        [a, b],
        (g) => ops.mul(g, b),
        (g) => ops.mul(g, a),
      ),
    div: (a, b) =>
      broadcasting(
        'Div',
        [a, b],
        (g) => ops.div(g, b),
        (g) => negate(ops.div(ops.mul(g, a), ops.mul(b, b))),
      ),
    sqrt: (x) => elementwise('Sqrt', x, (g, y) => ops.div(g, ops.add(y, y))),

    matMul(a, b, { transposeA = false, transposeB = false } = {}) {
      requireSameType('matMul', a, b);
      if (a.shape.length !== 2 || b.shape.length !== 2) throw misfit('matMul', a.shape, b.shape);
      const [rows, innerA] = transposeA ? a.shape.toReversed() : a.shape;
      const [innerB, columns] = transposeB ? b.shape.toReversed() : b.shape;
      if (innerA !== innerB) throw misfit('matMul', a.shape, b.shape);
      const attributes = { transA: Number(transposeA), transB: Number(transposeB) };
      return tensor(
        graph.node('Gemm', [a, b], { attributes }),
        a.type,
        [rows!, columns!],
        [
          {
            tensor: a,
            pullback: (g) =>
              transposeA
                ? ops.matMul(b, g, { transposeA: transposeB, transposeB: true })
                : ops.matMul(g, b, { transposeB: !transposeB }),
          },
          {
            tensor: b,
            pullback: (g) =>
              transposeB
                ? ops.matMul(g, a, { transposeA: true, transposeB: transposeA })
                : ops.matMul(a, g, { transposeA: !transposeA }),
          },
        ],
      );
    },

    // y ≥ 0, so that its sign is the derivative: 0 or 1.
    relu: (x) => elementwise('Relu', x, (g, y) => ops.mul(g, tensor(graph.node('Sign', [y]), y.type, y.shape))),
    sigmoid: (x) => elementwise('Sigmoid', x, (g, y) => ops.mul(g, ops.mul(y, ops.sub(ops.scalar(1, x.type), y)))),
    softplus: (x) => elementwise('Softplus', x, (g) => ops.mul(g, ops.sigmoid(x))),

    sum: (x, options = {}) => reduce('ReduceSum', x, options, (expanded) => expanded),
    mean: (x, options = {}) =>
      reduce('ReduceMean', x, options, (expanded, y) => {
        const count = graph.node('Div', [graph.node('Size', [x]), graph.node('Size', [y])]);
        return ops.div(expanded, tensor(graph.cast(count, x.type), x.type, []));
      }),

    cast: (x, type) =>
      x.type === type
        ? x
        : tensor(graph.cast(x, type), type, x.shape, [{ tensor: x, pullback: (g) => ops.cast(g, x.type) }]),
    reshape(x, shape) {
      if (shape.filter((length) => typeof length === 'string').length > 1) throw misfit('reshape', x.shape, shape);
      const lengths = int64(
        graph,
        shape.map((length) => (typeof length === 'string' ? -1 : length)),
      );
      return tensor(graph.node('Reshape', [x, lengths]), x.type, shape, [
        { tensor: x, pullback: (g) => ops.reshape(g, x.shape) },
      ]);
    },
    gather(x, indices) {
      if (indices.type !== 'int64' || indices.shape.length !== 1) throw misfit('gather', x.shape, indices.shape);
      const shape = [indices.shape[0]!, ...x.shape.slice(1)];
      return tensor(graph.node('Gather', [x, indices]), x.type, shape, [
        {
          tensor: x,
          pullback(g) {
            const zeros = graph.node('Expand', [ops.scalar(0, x.type), graph.node('Shape', [x])]);
            const targets = graph.node('Unsqueeze', [indices, int64(graph, [1])]);
            const added = graph.node('ScatterND', [zeros, targets, g], { attributes: { reduction: 'add' } });
            return tensor(added, x.type, x.shape);
          },
        },
      ]);
    },

    equal: (a, b) => compare('Equal', a, b),
    greater: (a, b) => compare('Greater', a, b),
    and: (a, b) => compare('And', a, b),
  };

  const negate = (x: Tensor): Tensor => tensor(graph.node('Neg', [x]), x.type, x.shape);

  return ops;
}

function broadcastShape(operator: string, a: readonly Dimension[], b: readonly Dimension[]): Dimension[] {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, i) => {
    const [left, right] = [a[a.length - rank + i] ?? 1, b[b.length - rank + i] ?? 1];
    if (left !== right && left !== 1 && right !== 1) throw misfit(operator, a, b);
    return left === 1 ? right : left;
  });
}

function requireSameType(operator: string, a: Tensor, b: Tensor): void {
  if (a.type !== b.type) throw new RangeError(`${operator} of ${a.type} and ${b.type}`);
}

function misfit(operator: string, a: readonly Dimension[], b: readonly Dimension[]): RangeError {
  return new RangeError(`${operator} does not take the shapes [${a.join(', ')}] and [${b.join(', ')}]`);
}
