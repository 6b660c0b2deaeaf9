export type { CompareRule } from './compare.js';
export type { ExpressionRule } from './compare-values.js';
export { type Grade, grade, type Rule } from './grade.js';
export { gradeOriginal, type OriginalGrade, type OriginalRule } from './original-rules.js';
export type { ValueRule } from './value.js';
