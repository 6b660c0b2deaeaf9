import type { Value } from '@scorer/core/onnx';
import type { Builder } from './builder.js';
import { RIM_TYPE } from './graph-weights.js';
import { kernelHeadSize } from './heads.js';
import { lengthOf } from './projections.js';

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

/**
 * Input of a graph that takes a past, int64 [1]: of how many leading tokens keys and values are given on. An output stays in
 * memory until a run ends, so those of a whole trace would be as much as all else together.
 */
export const KEPT_TOKENS = 'kept_tokens';

export interface Cache {
  readonly key: Value;
  readonly value: Value;
}

/** Keys and values of the tokens before these, [1, K, P, d]. */
export function cacheInputs({ graph, spec, options }: Builder, layer: number): Cache | undefined {
  if (!options.takesPast) return undefined;
  const shape = [1, spec.keyValueHeadCount, 'P', kernelHeadSize(spec)];
  const { key, value } = pastInputs(layer);
  const type = RIM_TYPE[options.compute];
  return { key: graph.input(key, type, shape), value: graph.input(value, type, shape) };
}

/**
 * @param present of all tokens so far, [1, K, P + T, d]; @param kept the input `KEPT_TOKENS`
 * @returns the same, for what follows: ONNX Runtime may compute an output last of all, and would keep what it is cut from
 * until then. Cut and joined here, only what is given on stays.
 */
export function outputPresent({ graph, spec, options }: Builder, layer: number, present: Cache, kept: Value): Cache {
  const names = presentOutputs(layer);
  const shape = [1, spec.keyValueHeadCount, 'kept', kernelHeadSize(spec)];
  const output = (name: string, states: Value): Value => {
    const others = graph.node('Sub', [lengthOf({ graph }, states, 2), kept]);
    const sizes = graph.node('Concat', [kept, others], { attributes: { axis: 0 } });
    const parts = graph.nodes('Split', [states, sizes], { outputs: 2, attributes: { axis: 2 } });
    graph.output(name, parts[0]!, RIM_TYPE[options.compute], shape);
    return graph.node('Concat', parts, { attributes: { axis: 2 } });
  };
  return { key: output(names.key, present.key), value: output(names.value, present.value) };
}
