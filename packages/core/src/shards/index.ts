export type { TokenConfidence } from './confidence.js';
export {
  type BatchOptions,
  openShardDataset,
  type RowBatch,
  type ShardDataset,
  type ShardDatasetOptions,
  type TraceQuestions,
} from './dataset.js';
export { listShards, openShardFolder, type ShardFolder } from './folder.js';
export { type ShardShape, TEXT_NAMES, type TextName } from './layout.js';
export { openShard, type Shard } from './reader.js';
export { mergeShards, type RearrangeOptions, splitShard } from './rearrange.js';
export type { SharedBytes } from './row-reader.js';
export type { SealOptions, ShardSummary } from './seal.js';
export { type FolderStat, type SafetensorsStat, type ShardContents, type ShardStat, statShards } from './stat.js';
export { NO_STEP_LABEL } from './step-labels.js';
export type { TraceStates } from './trace.js';
export { type Verified, type VerifyOptions, verifySafetensors, verifyShard } from './verify.js';
export { openShardWriter, removePartial, type ShardWriter, type ShardWriterOptions } from './writer.js';
