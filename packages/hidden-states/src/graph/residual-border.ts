import type { Value } from '@scorer/core/onnx';
import type { Builder } from './builder.js';
import { RIM_TYPE } from './graph-weights.js';
import { addAndNorm } from './projections.js';

/** The residual stream where one group of layers ends and the next begins, [1, T, D] in `RIM_TYPE`. */
export const RESIDUAL_INPUT = 'residual';
export const RESIDUAL_OUTPUT = 'next_residual';

export function residualInput({ graph, spec, options }: Pick<Builder, 'graph' | 'spec' | 'options'>): Value {
  const type = RIM_TYPE[options.compute];
  const residual = graph.input(RESIDUAL_INPUT, type, [1, 'T', spec.hiddenSize]);
  return type === options.compute ? residual : graph.cast(residual, options.compute);
}

export function outputResidual({ graph, spec, options }: Builder, residual: Value): void {
  const type = RIM_TYPE[options.compute];
  graph.output(RESIDUAL_OUTPUT, type === options.compute ? residual : graph.cast(residual, type), type, [
    1,
    'T',
    spec.hiddenSize,
  ]);
}

/**
 * The norm of a residual stream as the kernel gives it that, without a border here, adds the stream up and norms it; the
 * kernel of the norm alone gives other bits. Here it adds to the sum once more: -0, which changes no number.
 */
export function normOfResidual(builder: Builder, residual: Value, name: string): Value {
  const { graph, options } = builder;
  const zero = graph.cast(graph.constant('float32', [], Float32Array.of(-0)), options.compute);
  const shape = graph.node('Shape', [residual]);
  return addAndNorm(builder, graph.node('Expand', [zero, shape]), residual, name)[0];
}
