import { type Decoder, type DecoderOptions, openDecoder } from '../decoder/decoder.js';
import { openGroupedDecoder } from '../decoder/grouped-decoder.js';
import { type ExportOptions, exportOnnx } from '../graph/export-onnx.js';
import { exportOnnxModel } from '../onnx/export-onnx-model.js';
import { loadOnnxModel, type OnnxDecoderModel } from '../onnx/load-onnx-model.js';
import { confidenceUnavailable, openOnnxDecoder } from '../onnx/onnx-decoder.js';
import { headTensor } from './head.js';
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

/** @throws ScorerError the codes of `openDecoder`, `openGroupedDecoder` and `openOnnxDecoder` */
export async function openAnyDecoder(model: AnyModel, options: DecoderOptions): Promise<Decoder> {
  if (model.kind === 'onnx') return openOnnxDecoder(model, options);
  return options.grouping ? openGroupedDecoder(model, options, options.grouping) : openDecoder(model, options);
}

/**
 * That the confidence of tokens can be computed.
 * @throws ScorerError `CONFIDENCE_UNAVAILABLE` (usage), and the codes of `headTensor`
 */
export function requireHead(model: AnyModel): void {
  if (model.kind === 'onnx') throw confidenceUnavailable(model.name);
  headTensor(model);
}

/**
 * Writes a decoder as an .onnx file that outputs hidden states; an .onnx file keeps its own arithmetic.
 * @returns the files written, weights first
 * @throws ScorerError the codes of the two
 */
export function exportAnyModel(model: AnyModel, options: ExportOptions): Promise<string[]> {
  return model.kind === 'onnx' ? exportOnnxModel(model, options) : exportOnnx(model, options);
}
