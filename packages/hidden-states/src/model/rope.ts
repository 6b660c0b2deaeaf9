import { ScorerError } from '@scorer/core/errors';
import { z } from 'zod';
import { MAX_POSITION } from './config-keys.js';
import type { Rotary } from './decoder-spec.js';

/** Rules of `modeling_rope_utils.py`. */
type RopeType = 'default' | 'linear' | 'llama3' | 'yarn' | 'longrope';

const ROPE_TYPES: Readonly<Record<string, RopeType>> = {
  default: 'default',
  linear: 'linear',
  llama3: 'llama3',
  yarn: 'yarn',
  longrope: 'longrope',
};

const DEFAULT_THETA = 10_000;

const positive = z.number().positive();

/**
 * The keys of config.json that decide the rotation: `rope_parameters` as transformers 5 writes it, `rope_theta` and
 * `rope_scaling` as older ones do; where both stand, `rope_scaling` counts, as in transformers.
 * @param options `types`: the rules that the family knows by these names; `partial`: it can rotate a part of each head
 */
export function ropeKeys({ types = ROPE_TYPES, partial = false } = {}) {
  const type = z.enum(Object.keys(types)).transform((name) => types[name]!);
  const partialFactor: z.ZodType<number> = partial ? positive.max(1) : z.literal(1);
  const parameters = z.strictObject({
    rope_type: type.nullish(),
    type: type.nullish(),
    rope_theta: positive.nullish(),
    partial_rotary_factor: partialFactor.nullish(),
    factor: positive.nullish(),
    original_max_position_embeddings: positive.max(MAX_POSITION).nullish(),
    low_freq_factor: positive.nullish(),
    high_freq_factor: positive.nullish(),
    attention_factor: positive.nullish(),
    beta_fast: z.number().nonnegative().nullish(),
    beta_slow: z.number().nonnegative().nullish(),
    mscale: z.number().nullish(),
    mscale_all_dim: z.number().nullish(),
    truncate: z.boolean().nullish(),
    short_factor: z.array(positive).nullish(),
    long_factor: z.array(positive).nullish(),
    // In DeepSeek-R1-0528-Qwen3-8B. vLLM multiplies by it, transformers passes over it: here as in transformers.
    attn_factor: z.unknown().optional(),
  });
  return {
    rope_parameters: parameters.nullish(),
    rope_scaling: parameters.nullish(),
    rope_theta: positive.nullish(),
    partial_rotary_factor: partialFactor.nullish(),
    original_max_position_embeddings: positive.max(MAX_POSITION).nullish(),
  };
}

export type RopeConfig = z.output<z.ZodObject<ReturnType<typeof ropeKeys>>> & { max_position_embeddings: number };

interface Settings {
  readonly theta: number;
  /** Rotated dimensions of a head. */
  readonly dimensions: number;
  /** Tokens that the model was first trained on. */
  readonly originalLength: number;
  /** Ratio of the lengths where config.json gives no `factor`. */
  readonly lengthRatio: number;
  /** Reads a key that the rule can't do without. */
  required<Key extends keyof Parameters>(key: Key): NonNullable<Parameters[Key]>;
  readonly parameters: Parameters;
}

type Parameters = Partial<NonNullable<RopeConfig['rope_parameters']>>;

/**
 * How a model with this configuration rotates heads of `headSize` dimensions.
 * @throws ScorerError `CONFIG_INVALID` where the rule lacks one of its keys
 */
export function rotaryOf(config: RopeConfig, headSize: number): Rotary {
  const scaling = config.rope_scaling && Object.keys(config.rope_scaling).length > 0 ? config.rope_scaling : undefined;
  const parameters: Parameters = scaling ?? config.rope_parameters ?? {};
  const originalLength =
    config.original_max_position_embeddings ??
    parameters.original_max_position_embeddings ??
    config.max_position_embeddings;
  const type = parameters.rope_type ?? parameters.type ?? 'default';
  if (headSize % 2 !== 0) throw invalid(`heads of ${headSize} dimensions can't be rotated in pairs`);
  return RULES[type]({
    theta: parameters.rope_theta ?? config.rope_theta ?? DEFAULT_THETA,
    dimensions: Math.floor(headSize * (parameters.partial_rotary_factor ?? config.partial_rotary_factor ?? 1)),
    originalLength,
    lengthRatio: config.max_position_embeddings / originalLength,
    parameters,
    required(key) {
      const value = parameters[key];
      if (value !== undefined && value !== null) return value;
      throw invalid(`${key} is missing, which ${type} rotary scaling needs`);
    },
  });
}

/**
 * Everything below is in float32 step by step where transformers computes so (`modeling_rope_utils.py`): positions
 * reach 10⁵, where one unit in the last place of a frequency can be seen in the states.
 */
const { fround } = Math;

/** A number by a tensor as PyTorch divides them: times the reciprocal, each step rounded. */
const divided = (number: number, by: number): number => fround(fround(number) * fround(1 / by));

const RULES: Record<RopeType, (settings: Settings) => Rotary> = {
  default: (s) => ({ inverseFrequencies: wavelengths(s).map((wavelength) => 1 / wavelength), scaling: 1 }),

  linear(s) {
    const factor = fround(s.required('factor'));
    return { inverseFrequencies: wavelengths(s).map((wavelength) => fround(1 / wavelength) / factor), scaling: 1 };
  },

  /** Llama 3.1: long waves are stretched by `factor`, short ones kept, those between blended. */
  llama3(s) {
    const factor = fround(s.required('factor'));
    const [low, high] = [s.required('low_freq_factor'), s.required('high_freq_factor')];
    const inverseFrequencies = wavelengths(s).map((wavelength) => {
      const frequency = fround(1 / wavelength);
      const period = divided(2 * Math.PI, frequency);
      if (period > s.originalLength / low) return frequency / factor;
      if (period < s.originalLength / high) return frequency;
      const smooth = fround(fround(divided(s.originalLength, period) - fround(low)) / fround(high - low));
      return fround(fround(fround(1 - smooth) * frequency) / factor) + fround(smooth * frequency);
    });
    return { inverseFrequencies, scaling: 1 };
  },

  /** YaRN (arXiv 2309.00071). */
  yarn(s) {
    const { mscale, mscale_all_dim: mscaleAll, attention_factor: attention } = s.parameters;
    const factor = s.parameters.factor ?? s.lengthRatio;
    const temperature = (weight = 1): number => (factor <= 1 ? 1 : 0.1 * weight * Math.log(factor) + 1);
    const [low, high] = yarnRange(s);
    const inverseFrequencies = wavelengths(s).map((wavelength, i) => {
      const stretched = Math.min(Math.max(fround(fround(i - fround(low)) / fround(high - low)), 0), 1);
      const kept = fround(1 - stretched);
      const interpolated = fround(1 / fround(fround(factor) * wavelength));
      return fround(interpolated * fround(1 - kept)) + fround(fround(1 / wavelength) * kept);
    });
    const scaling = attention ?? (mscale && mscaleAll ? temperature(mscale) / temperature(mscaleAll) : temperature());
    return { inverseFrequencies, scaling };
  },

  /** LongRoPE (arXiv 2402.13753): a factor for each pair, one list for short sequences and one for long. */
  longrope(s) {
    const factor = s.parameters.factor ?? s.lengthRatio;
    const scaled = (key: 'short_factor' | 'long_factor'): Float32Array => {
      const factors = s.required(key);
      const base = wavelengths(s);
      if (factors.length !== base.length) throw invalid(`${key} has ${factors.length} numbers, not ${base.length}`);
      return base.map((wavelength, i) => 1 / fround(fround(factors[i]!) * wavelength));
    };
    const growth = factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(s.originalLength));
    return {
      inverseFrequencies: scaled('short_factor'),
      long: { above: s.originalLength, inverseFrequencies: scaled('long_factor') },
      scaling: s.parameters.attention_factor ?? growth,
    };
  },
};

/** θ^(2i/n) for the pairs i = 0 … ⌈n/2⌉ − 1 of n rotated dimensions: positions a radian. */
function wavelengths({ theta, dimensions }: Settings): Float32Array {
  return Float32Array.from(
    { length: Math.ceil(dimensions / 2) },
    (_, i) => fround(theta) ** fround((2 * i) / dimensions),
  );
}

/** The pairs between which YaRN goes from keeping a frequency to stretching it. */
function yarnRange({ theta, dimensions, originalLength, parameters }: Settings): [low: number, high: number] {
  const pairOfRotations = (rotations: number): number =>
    (dimensions * Math.log(originalLength / (rotations * 2 * Math.PI))) / (2 * Math.log(theta));
  // As in transformers, where zero means unset.
  const low = pairOfRotations(parameters.beta_fast || 32);
  const high = pairOfRotations(parameters.beta_slow || 1);
  const [from, to] = parameters.truncate === false ? [low, high] : [Math.floor(low), Math.ceil(high)];
  const [first, last] = [Math.max(from, 0), Math.min(to, dimensions - 1)];
  return [first, first === last ? last + 0.001 : last];
}

function invalid(what: string): ScorerError {
  return new ScorerError({ code: 'CONFIG_INVALID', what, where: 'config.json' });
}
