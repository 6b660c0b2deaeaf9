export type { ComputeType } from './graph/graph-weights.js';
export { readHfConfig } from './model/hf-config.js';
export { type ExtractedShard, type ExtractOptions, type ExtractSummary, extract } from './run/extract.js';
export { type FailureLimit, parseFailureLimit, type TraceFailure } from './run/failures.js';
