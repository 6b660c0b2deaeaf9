import type { z } from 'zod';
import type { DecoderSpec, TensorNames } from '../decoder-spec.js';

/** A family of decoders, as data: how its config.json reads, and where its tensors are. */
export interface Architecture<Config extends z.ZodType = z.ZodType> {
  /** Class name in config.json. */
  readonly name: string;
  /** Accepts exactly the settings that `spec` and the graph implement. */
  readonly config: Config;
  spec(config: z.output<Config>): DecoderSpec;
  readonly tensors: TensorNames;
}
