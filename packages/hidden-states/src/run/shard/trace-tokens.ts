import { ScorerError } from '@scorer/core/errors';
import type { StepRecord } from '@scorer/core/schema';
import type { ScorerTokenizer } from '@scorer/core/tokenizer';

/** A step record as the decoder sees it. */
export interface TraceTokens {
  /** Tokens of prompt + forward_text, [T]. */
  inputIds: Int32Array;
  /** Index of each step's last token, ascending, [S]. */
  stepPositions: Int32Array;
  /** 0 where the step ends inside the prompt, 1 in the reasoning, [S]. */
  stepRegions: Uint8Array;
  /** Leading tokens that are those of the prompt alone. */
  promptLength: number;
}

const PROMPT = 0;
const REASONING = 1;

/** What a decoder prints for bytes that are no whole character. */
const REPLACEMENT_CHARACTER = '\ufffd';

/**
 * Tokenizes a step record and checks that its positions are those of this tokenizer: records that were made for
 * another model would otherwise give states of the wrong tokens without any sign of it.
 * @throws ScorerError `POSITION_BEYOND_TOKENS`, `POSITIONS_NOT_ASCENDING`, `POSITIONS_DISAGREE`
 */
export function tokenizeRecord(record: StepRecord, tokenizer: ScorerTokenizer): TraceTokens {
  const inputIds = Int32Array.from(tokenizer.encode(record.prompt + record.forward_text));
  const stepPositions = Int32Array.from(record.extracted_position);
  checkPositions(record, inputIds, tokenizer);
  return {
    inputIds,
    stepPositions,
    stepRegions: stepRegions(record, tokenizer),
    promptLength: sharedLength(inputIds, tokenizer.encode(record.prompt)),
  };
}

function checkPositions(record: StepRecord, inputIds: Int32Array, tokenizer: ScorerTokenizer): void {
  const { extracted_position: positions, segmented_text_list: segments } = record;
  const refuse = (code: string, what: string): ScorerError =>
    new ScorerError({ code, what, hint: "run scorer-preprocess with this model's tokenizer" });

  for (const [step, position] of positions.entries()) {
    if (position >= inputIds.length) {
      throw refuse('POSITION_BEYOND_TOKENS', `step ${step} ends at token ${position} of ${inputIds.length}`);
    }
    if (step > 0 && position <= positions[step - 1]!) {
      throw refuse('POSITIONS_NOT_ASCENDING', `step ${step} ends at token ${position}, not after the one before it`);
    }
    const end = tokenizer.decode([inputIds[position]!]);
    const matches = end.includes(REPLACEMENT_CHARACTER) || segments[step]?.endsWith(end);
    if (!matches) {
      throw refuse('POSITIONS_DISAGREE', `step ${step} does not end in token ${position} (${JSON.stringify(end)})`);
    }
  }
}

/** Tokens that both begin with: at the seam a tokenizer may join the prompt's end with what follows. */
function sharedLength(a: Int32Array, b: readonly number[]): number {
  const end = Math.min(a.length, b.length);
  for (let i = 0; i < end; i++) if (a[i] !== b[i]) return i;
  return end;
}

/** A step lies in the prompt where the tokens up to its end decode to no more than the prompt. */
function stepRegions(record: StepRecord, tokenizer: ScorerTokenizer): Uint8Array {
  const { prompt, segmented_text_list: segments, extracted_position: positions } = record;
  const promptLength = (tokenizer.normalises === 'NFC' ? prompt.normalize('NFC') : prompt).length;
  let decodedLength = 0;
  return Uint8Array.from(segments.slice(0, positions.length), (segment) => {
    decodedLength += segment.length;
    return decodedLength <= promptLength ? PROMPT : REASONING;
  });
}
