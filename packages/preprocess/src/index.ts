export { DEFAULT_SYSTEM_PROMPT } from './chat-prompt.js';
export { type GradeOptions, type GradeSummary, gradeFile } from './grade-file.js';
export {
  type PreprocessedFile,
  type PreprocessOptions,
  type PreprocessSummary,
  preprocessFiles,
} from './preprocess-file.js';
export {
  createPreprocessContext,
  DEFAULT_STEP_SEPARATOR,
  type PreprocessContext,
  preprocessTrace,
  type TraceOptions,
  type TraceOutcome,
} from './preprocess-trace.js';
export { REJECT_CODES, type Reject, type RejectCode, type RejectedLine } from './reject.js';
export type { Distribution, FileStatistics } from './statistics.js';
