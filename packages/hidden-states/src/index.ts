export { type ExportOptions, exportOnnx } from './graph/export-onnx.js';
export type { ComputeType } from './graph/graph-weights.js';
export { type HfConfigOptions, readHfConfig } from './model/hf-config.js';
export { type DecoderModel, loadModel } from './model/load-model.js';
export { type ExtractedShard, type ExtractOptions, type ExtractSummary, extract } from './run/extract.js';
export { type FailureLimit, parseFailureLimit, type TraceFailure } from './run/failures.js';
