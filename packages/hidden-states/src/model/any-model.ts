import { loadOnnxModel, type OnnxDecoderModel } from '../onnx/load-onnx-model.js';
import { openOnnxDecoder } from '../onnx/onnx-decoder.js';
import { type Decoder, type DecoderOptions, openDecoder } from '../run/decoder.js';
import { type DecoderModel, type LoadModelOptions, loadModel } from './load-model.js';

/** A decoder to take hidden states from, whatever it is stored as. */
export type AnyModel = DecoderModel | OnnxDecoderModel;

/**
 * Opens a Hugging Face folder, a hub model or an .onnx file.
 * @throws ScorerError the codes of `loadModel` and `loadOnnxModel`
 */
export async function loadAnyModel(idOrPath: string, options: LoadModelOptions = {}): Promise<AnyModel> {
  return idOrPath.endsWith('.onnx') ? loadOnnxModel(idOrPath) : loadModel(idOrPath, options);
}

/** @throws ScorerError the codes of `openDecoder` and `openOnnxDecoder` */
export async function openAnyDecoder(model: AnyModel, options: DecoderOptions): Promise<Decoder> {
  return model.kind === 'onnx' ? openOnnxDecoder(model, options) : openDecoder(model, options);
}
