export { DEFAULT_SYSTEM_PROMPT } from './chat-prompt.js';
export type { ConvertOptions } from './convert/convert-line.js';
export type { Neutral } from './convert/prm800k.js';
export type { Source } from './convert/sources.js';
export { type GradeOptions, type GradeSummary, gradeFile } from './grade-file.js';
export type { Grader } from './grader.js';
export {
  type PreprocessedFile,
  type PreprocessOptions,
  type PreprocessSummary,
  preprocessFiles,
} from './preprocess-file.js';
export {
  createPreprocessContext,
  DEFAULT_STEP_SEPARATOR,
  DEFAULT_THINK_TAGS,
  type LabelledTrace,
  type PreprocessContext,
  preprocessTrace,
  type ThinkTags,
  type TraceOptions,
  type TraceOutcome,
} from './preprocess-trace.js';
export { REJECT_CODES, type Reject, type RejectCode, type RejectedLine } from './reject.js';
export { writeReport } from './report.js';
export type { Distribution, FileStatistics, Histogram } from './statistics.js';
export { type RunTotals, totalsOf } from './summary.js';
