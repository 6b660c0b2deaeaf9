export { type AuditFault, type AuditOptions, type AuditSummary, audit } from './audit/audit.js';
export { extractionOptions, extractionOptionsSchema } from './commands/shard-options.js';
export type { ConfidenceOptions } from './graph/confidence.js';
export type { ExportOptions } from './graph/export-onnx.js';
export type { ComputeType } from './graph/graph-weights.js';
export { type ImportOptions, type ImportSummary, importStates, type SourceKind } from './import/import-states.js';
export {
  type AnyModel,
  exportAnyModel as exportOnnx,
  loadAnyModel as loadModel,
  openAnyDecoder as openDecoder,
} from './model/any-model.js';
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
  type TokenConfidenceRequest,
} from './open-model.js';
export type { Decoder, DecoderOptions } from './run/decoder.js';
export { type ExtractedShard, type ExtractOptions, type ExtractSummary, extract } from './run/extract.js';
export { type FailureLimit, parseFailureLimit, type TraceFailure } from './run/failures.js';
export type { LayerGrouping } from './run/grouped-decoder.js';
export type { LayerGroupCount } from './run/layer-groups.js';
export { parseLayers } from './run/layers.js';
export { type Plan, type PlannedShard, planShards, type RangeOptions } from './run/plan.js';
export type { ExtractEvent } from './run/run-progress.js';
