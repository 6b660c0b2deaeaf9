import { ScorerError } from '@scorer/core/errors';
import { openSession, type TensorData } from '@scorer/core/onnx';
import { type Decoder, type DecoderOptions, statesOfNothing } from '../decoder/decoder.js';
import { storedBytes } from '../decoder/layer-session.js';
import { adaptGraph } from './adapted-graph.js';
import type { OnnxDecoderModel } from './load-onnx-model.js';

/**
 * Loads a decoder out of an .onnx file: what leads to the wanted layers' states and nothing else, with the rows at the
 * wanted positions selected in the graph. A KV cache is fed empty, and every trace runs as a whole.
 * @throws ScorerError `CONFIDENCE_UNAVAILABLE` (usage), `ONNX_LAYER_MISSING`, `ONNX_INPUT_UNKNOWN`, and the codes of core's `openSession`
 */
export async function openOnnxDecoder(
  model: OnnxDecoderModel,
  options: Omit<DecoderOptions, 'compute'>,
): Promise<Decoder> {
  const { layers, storage, confidence, device, threads } = options;
  if (confidence) throw confidenceUnavailable(model.name);
  const graph = adaptGraph(model, { layers, storage });
  const session = await openSession(graph.bytes, {
    device,
    threads,
    varyingLengths: true,
    externalDataFolder: model.graph.folder,
  });
  return {
    runtime: session.runtime,
    async hiddenStates({ inputIds, positions }) {
      if (positions.length === 0) return statesOfNothing(layers);
      const dims = [1, inputIds.length];
      const feeds: Record<string, TensorData> = {
        [graph.tokens.name]:
          graph.tokens.type === 'int64'
            ? { type: 'int64', dims, data: BigInt64Array.from(inputIds, BigInt) }
            : { type: 'int32', dims, data: inputIds },
        [graph.positions]: { type: 'int32', dims: [positions.length], data: positions },
      };
      const outputs = await session.run(feeds, { fetch: layers.map(graph.outputOf) });
      return new Map(layers.map((layer) => [layer, storedBytes(outputs[graph.outputOf(layer)]!, storage)]));
    },
    async hiddenStatesAndConfidence() {
      throw confidenceUnavailable(model.name);
    },
    close: () => session.close(),
  };
}

/** Its logits would be those of all tokens at once, gigabytes for a long trace. */
export function confidenceUnavailable(name: string): ScorerError {
  return new ScorerError({
    code: 'CONFIDENCE_UNAVAILABLE',
    kind: 'usage',
    what: 'the confidence of tokens is not computed with an .onnx file',
    where: name,
    hint: 'name the Hugging Face folder that it was made from, or leave out --confidence',
  });
}
