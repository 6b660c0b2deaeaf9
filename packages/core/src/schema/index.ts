export {
  classBalanceSchema,
  type Feature,
  featureSchema,
  type LearningRateSchedule,
  learningRateScheduleSchema,
  lossSchema,
  type Regions,
  regionsSchema,
  type ScorerConfig,
  type Split,
  scorerConfigSchema,
  selectionSchema,
  splitSchema,
} from './scorer.js';
export {
  SHARD_FORMAT,
  SHARD_VERSION,
  type ShardMetadata,
  type ShardOrigin,
  type Storage,
  shardMetadataSchema,
  storageSchema,
} from './shard.js';
export { type StepRecord, stepRecordSchema } from './step-record.js';
export { type Trace, traceSchema } from './trace.js';
