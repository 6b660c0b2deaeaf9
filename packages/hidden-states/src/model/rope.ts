import { z } from 'zod';

const DEFAULT_THETA = 10_000;

/** Rotary settings as transformers 5 writes them (`rope_parameters`) and as older ones do (`rope_theta`, `rope_scaling`). */
export const ropeConfig = z.looseObject({
  rope_parameters: z.looseObject({ rope_theta: z.number().positive(), rope_type: z.literal('default') }).nullish(),
  rope_theta: z.number().positive().nullish(),
  rope_scaling: z.literal(null).optional(),
});

export function ropeTheta(config: z.output<typeof ropeConfig>): number {
  return config.rope_parameters?.rope_theta ?? config.rope_theta ?? DEFAULT_THETA;
}

/**
 * θ^(−2i/d) for i = 0 … d/2 − 1, radians a position, in float32 step by step as transformers computes it
 * (`modeling_rope_utils.py`): positions reach 10⁵, so one unit in the last place here is visible in the states.
 */
export function inverseFrequencies(theta: number, rotaryDimensions: number): Float32Array {
  return Float32Array.from({ length: rotaryDimensions / 2 }, (_, i) => {
    const exponent = Math.fround((2 * i) / rotaryDimensions);
    return 1 / Math.fround(theta ** exponent);
  });
}
