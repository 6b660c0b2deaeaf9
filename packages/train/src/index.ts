/** Train, load and use step scorers. */
export type { FeatureRows } from './engine/engine.js';
export { classificationMetrics, type Metrics, rocAuc, type Scores, THRESHOLD, thresholdMetrics } from './metrics.js';
export type { RunCurves, SideCounts, SplitSummary, TrainingResult } from './result.js';
export { loadScorer, type Scorer } from './scorer.js';
export type { Epoch } from './selection.js';
export { type TrainHooks, type TrainOptions, train } from './train.js';
