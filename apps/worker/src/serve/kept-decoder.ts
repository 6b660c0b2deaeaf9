import { type Decoder, type DecoderOptions, openDecoder } from '@scorer/hidden-states';

/** A decoder that stays open from one shard to the next: loading a model takes as long as many traces. */
export interface KeptDecoder {
  /**
   * For `extract`, always with the same model and options but for `grouping`. In groups of layers a decoder is the
   * shard's own: its first group is loaded anew for each batch in any case.
   */
  open: typeof openDecoder;
  /** Closes it; the next `open` loads the model anew. */
  close(): Promise<void>;
}

export function keepDecoder(): KeptDecoder {
  let kept: Decoder | undefined;
  async function close(): Promise<void> {
    const decoder = kept;
    kept = undefined;
    await decoder?.close();
  }
  return {
    async open(model, options: DecoderOptions) {
      if (options.grouping) {
        // Both would not fit.
        await close();
        return openDecoder(model, options);
      }
      kept ??= await openDecoder(model, options);
      return { ...kept, close: async () => {} };
    },
    close,
  };
}
