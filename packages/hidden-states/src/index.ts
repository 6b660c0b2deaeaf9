export { type AuditFault, type AuditOptions, type AuditSummary, audit } from './audit/audit.js';
export { layerGroupsOption, layerGroupsSchema } from './commands/model-options.js';
export { extractionOptions, extractionOptionsSchema } from './commands/shard-options.js';
export type { Decoder, DecoderOptions } from './decoder/decoder.js';
export type { LayerGrouping } from './decoder/grouped-decoder.js';
export type { ConfidenceOptions } from './graph/confidence.js';
export type { ExportOptions } from './graph/export-onnx.js';
export type { ComputeType } from './graph/graph-weights.js';
export { type ImportOptions, type ImportSummary, importStates, type SourceKind } from './import/import-states.js';
export type { LayerGroupCount } from './memory/layer-groups.js';
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
export { type ExtractOptions, extract } from './run/extract.js';
export { parseLayers } from './run/plan/layers.js';
export { type Plan, type PlannedShard, planShards, type RangeOptions } from './run/plan/plan-shards.js';
export type { ExtractEvent } from './run/run-progress.js';
export { type FailureLimit, parseFailureLimit, type TraceFailure } from './run/shard/failures.js';
export type { ExtractedShard, ExtractSummary } from './run/summary.js';
