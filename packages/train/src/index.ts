/** Train, load and use step scorers. */
export {
  type CrossValidationOptions,
  type CrossValidationResult,
  crossValidate,
  type FoldFigures,
} from './cross-validation.js';
export type { FeatureRows } from './engine/engine.js';
export type { Figure } from './evaluate/bootstrap.js';
export { describeEvaluation } from './evaluate/describe.js';
export {
  type EvaluateOptions,
  type Evaluation,
  evaluate,
  type RankFigures,
  type VoteFigures,
} from './evaluate/evaluate.js';
export {
  type ExportedScorer,
  type ExportFormat,
  type ExportScorerOptions,
  exportScorer,
} from './export/export-scorer.js';
export type { Judgement } from './judgement.js';
export {
  averagePrecision,
  brierScore,
  calibrationError,
  classificationMetrics,
  type Metrics,
  rocAuc,
  type Scores,
  THRESHOLD,
  thresholdMetrics,
  withinQuestionAuc,
} from './metrics.js';
export { type Report, report } from './page/report.js';
export type { RunCurves, SideCounts, SplitSummary, TrainingResult } from './result.js';
export { loadScorer, Scorer, type ScorerOptions } from './scorer.js';
export { loadScoreTable, type ScoreTable, scoreTable } from './scores/score-table.js';
export { type ScoreHooks, type ScoreOptions, type ScoreResult, scoreTraces } from './scores/score-traces.js';
export { readScoredTraces, type ScoredTrace } from './scores/scored-trace.js';
export type { Epoch } from './selection.js';
export { describePolicy, type Policy } from './simulate/policy.js';
export type { PolicyFigures } from './simulate/policy-figures.js';
export { type Simulation, simulate } from './simulate/simulate.js';
export { type SweepOptions, type SweepResult, sweepLayers } from './sweep.js';
export { type TrainHooks, type TrainOptions, train } from './train.js';
