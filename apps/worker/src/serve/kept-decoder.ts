import { type Decoder, type DecoderOptions, openDecoder } from '@scorer/hidden-states';

/** A decoder that stays open from one shard to the next: loading a model takes as long as many traces. */
export interface KeptDecoder {
  /** For `extract`, always with the same model and options. */
  open: typeof openDecoder;
  /** Closes it; the next `open` loads the model anew. */
  close(): Promise<void>;
}

export function keepDecoder(): KeptDecoder {
  let kept: Decoder | undefined;
  return {
    async open(model, options: DecoderOptions) {
      kept ??= await openDecoder(model, options);
      return { ...kept, close: async () => {} };
    },
    async close() {
      const decoder = kept;
      kept = undefined;
      await decoder?.close();
    },
  };
}
