import type { StepRecord } from '@scorer/core/schema';
import type { TraceStates } from '@scorer/core/shards';

/** What a shard keeps of a step record beside its tokens. */
export function labelsOf(record: StepRecord): Pick<TraceStates, 'isCorrect' | 'texts'> {
  return {
    isCorrect: record.is_correct,
    texts: {
      question: record.question,
      original_response: record.full_text,
      full_forward_text: record.prompt + record.forward_text,
      ground_truth: record.ground_truth,
      extracted_answer: record.extracted_answer,
    },
  };
}
