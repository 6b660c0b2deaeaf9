import type { z } from 'zod';
import type { DecoderSpec, TensorNames } from '../decoder-spec.js';

/** A family of decoders, as data: how its config.json reads, and where its tensors are. */
export interface Architecture<Config extends z.ZodObject = z.ZodObject> {
  /** Class name in config.json. */
  readonly name: string;
  /**
   * Names every key that the forward pass reads, and accepts exactly the values that `spec` and the graph implement. Of
   * `model_type`, by which transformers chooses the code, the family's own: a file that says otherwise by its class is of neither.
   */
  readonly config: Config;
  spec(config: z.output<Config>): Omit<DecoderSpec, 'architecture' | 'head'>;
  readonly tensors: TensorNames;
}
