import type { StepRecord } from '@scorer/core/schema';
import { NO_STEP_LABEL, type TraceStates } from '@scorer/core/shards';

/** What a shard keeps of a step record beside its tokens. */
export function labelsOf(record: StepRecord): Pick<TraceStates, 'isCorrect' | 'texts' | 'stepLabels'> {
  return {
    isCorrect: record.is_correct,
    stepLabels: record.step_labels && Float32Array.from(record.step_labels, (label) => label ?? NO_STEP_LABEL),
    texts: {
      question: record.question,
      original_response: record.full_text,
      full_forward_text: record.prompt + record.forward_text,
      ground_truth: record.ground_truth,
      extracted_answer: record.extracted_answer,
    },
  };
}
