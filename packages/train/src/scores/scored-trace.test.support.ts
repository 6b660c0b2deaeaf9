import type { ScoredTrace } from './scored-trace.js';

/** A scored trace in a test: what is not given is as plain as can be. */
export function sampleScoredTrace(given: Partial<ScoredTrace> = {}): ScoredTrace {
  const { step_scores = given.score == null ? [] : [given.score] } = given;
  return {
    shard: 'a.safetensors',
    trace_index: 0,
    question: 'What is 1/2?',
    ground_truth: '1/2',
    extracted_answer: '1/2',
    is_correct: given.extracted_answer === undefined || given.extracted_answer === '1/2',
    tokens: 100,
    step_positions: step_scores.map((_, step) => 10 * (step + 1)),
    step_scores,
    score: null,
    ...given,
  };
}
