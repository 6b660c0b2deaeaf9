export { type AuditFault, type AuditOptions, type AuditSummary, audit } from './audit/audit.js';
export { type ExportOptions, exportOnnx } from './graph/export-onnx.js';
export type { ComputeType } from './graph/graph-weights.js';
export { type ImportOptions, type ImportSummary, importStates, type SourceKind } from './import/import-states.js';
export { type AnyModel, loadAnyModel as loadModel, openAnyDecoder as openDecoder } from './model/any-model.js';
export { modelFingerprint } from './model/fingerprint.js';
export { type HfConfigOptions, readHfConfig } from './model/hf-config.js';
export type { DecoderModel, LoadModelOptions } from './model/load-model.js';
export type { OnnxDecoderModel } from './onnx/load-onnx-model.js';
export {
  type HiddenStates,
  type HiddenStatesRequest,
  type OpenModel,
  type OpenModelOptions,
  openModel,
} from './open-model.js';
export type { Decoder, DecoderOptions } from './run/decoder.js';
export { type ExtractedShard, type ExtractOptions, type ExtractSummary, extract } from './run/extract.js';
export { type FailureLimit, parseFailureLimit, type TraceFailure } from './run/failures.js';
export { parseLayers } from './run/layers.js';
export { type Plan, type PlannedShard, planShards, type RangeOptions } from './run/plan.js';
