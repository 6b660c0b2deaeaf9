import type { Value } from '@scorer/core/onnx';
import type { Builder, DecoderGraphOptions } from './builder.js';
import { kernelHeadSize } from './heads.js';

/** Keys and values of a decoder layer (from 0), [1, K, tokens, `kernelHeadSize`]: inputs and outputs of a graph that takes them. */
export const pastInputs = (layer: number): CacheNames => ({ key: `past.${layer}.key`, value: `past.${layer}.value` });
export const presentOutputs = (layer: number): CacheNames => ({
  key: `present.${layer}.key`,
  value: `present.${layer}.value`,
});

interface CacheNames {
  readonly key: string;
  readonly value: string;
}

export interface Cache {
  readonly key: Value;
  readonly value: Value;
}

/** Keys and values of the tokens before these, [1, K, P, d]. */
export function cacheInputs({ graph, spec, options }: Builder, layer: number): Cache | undefined {
  if (!options.takesPast) return undefined;
  const shape = [1, spec.keyValueHeadCount, 'P', kernelHeadSize(spec)];
  const { key, value } = pastInputs(layer);
  const type = cacheType(options);
  return { key: graph.input(key, type, shape), value: graph.input(value, type, shape) };
}

/** ONNX Runtime for Node has no bfloat16 tensors: a past is for float32 and float16. */
function cacheType({ compute }: DecoderGraphOptions): 'float32' | 'float16' {
  return compute === 'float16' ? 'float16' : 'float32';
}

export function outputPresent({ graph, spec, options }: Builder, layer: number, present: Cache): void {
  const { key, value } = presentOutputs(layer);
  const shape = [1, spec.keyValueHeadCount, 'P + T', kernelHeadSize(spec)];
  graph.output(key, present.key, cacheType(options), shape);
  graph.output(value, present.value, cacheType(options), shape);
}
