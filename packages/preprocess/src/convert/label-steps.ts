import type { StepRecord } from '@scorer/core/schema';
import type { ScorerTokenizer } from '@scorer/core/tokenizer';
import { GRADING } from '../grader.js';
import { type PreprocessContext, promptOf, type TraceOutcome } from '../preprocess-trace.js';
import { joinsTo, segmentsOf } from '../step-splitter.js';
import type { LabelledSteps } from './labelled-steps.js';

/**
 * A labelled solution as a step record. Its text is every step, without the white space around it, and the separator
 * behind each, the last one included: so a scorer reads the state of a step where it reads it in a trace, and TRL's
 * PRMTrainer puts the label there too. Blank lines in the prompt or inside a step are step ends as in every record, but
 * have no label.
 * @param prefix text in front of the first step
 */
export function labelSteps(solution: LabelledSteps, context: PreprocessContext, prefix: string): TraceOutcome {
  const { question, ground_truth, extracted_answer } = solution;
  const { stepSeparator, maxTokens, grader } = context.options;
  const steps = solution.steps.map(({ text }) => text.trim());

  const prompt = promptOf(question, context);
  if (typeof prompt !== 'string') return { reject: prompt };
  if (solution.steps.every(({ label }) => label === null)) {
    return { reject: { code: 'NO_STEP_LABEL', reason: 'no step has a label' } };
  }
  const empty = steps.indexOf('');
  if (empty !== -1) return { reject: { code: 'EMPTY_STEP', reason: `step ${empty} has no text` } };

  const [first, ...others] = steps.map((step) => step + stepSeparator);
  const parts = [prompt + prefix + first, ...others];
  const found = findStepEnds(parts, context.tokenizer, stepSeparator);
  if (!found) {
    return { reject: { code: 'SEGMENTS_MISMATCH', reason: 'not every step has a token of its own at its end' } };
  }
  if (maxTokens !== null && found.tokenCount > maxTokens) {
    return { reject: { code: 'TOO_MANY_TOKENS', reason: `${found.tokenCount} tokens, ${maxTokens} are allowed` } };
  }

  const text = parts.join('').slice(prompt.length);
  // The order of the keys is part of the format.
  const record: StepRecord = {
    prompt,
    question,
    ground_truth,
    extracted_answer,
    full_text: text,
    is_correct: solution.is_correct ?? GRADING[grader](extracted_answer, ground_truth).equal,
    forward_text: text,
    segmented_text_list: found.segments,
    extracted_position: found.positions,
    step_labels: found.partEnds.map((part) => (part === undefined ? null : solution.steps[part]!.label)),
  };
  return { record, tokenCount: found.tokenCount };
}

interface StepEnds {
  segments: string[];
  positions: number[];
  /** For each position the part that ends there; undefined where it is a separator inside one. */
  partEnds: (number | undefined)[];
  tokenCount: number;
}

/**
 * Tokenizes parts that each end in the separator. A step ends at each token that holds the separator, as everywhere, and
 * where a tokenizer cuts the separator itself, at the last token of a part's own.
 * @returns undefined where the tokens do not decode to the text, or two parts end in the same one
 */
function findStepEnds(parts: readonly string[], tokenizer: ScorerTokenizer, separator: string): StepEnds | undefined {
  const text = parts.join('');
  const ids = tokenizer.encode(text);
  const holdsSeparator = tokenizer.tokensWith(separator);
  // Finer than steps: the last token of a part holds the separator's last character, and a piece holds that at its end only.
  const mayEnd = tokenizer.tokensWith(separator.at(-1)!);
  const candidates = [...ids.keys()].filter((index) => mayEnd.has(ids[index]!));
  const pieces = segmentsOf(ids, candidates, tokenizer);
  if (!joinsTo(text, pieces, tokenizer)) return undefined;
  const lengths = parts.map((part) => (tokenizer.normalises === 'NFC' ? part.normalize('NFC') : part).length);

  const ends: StepEnds = { segments: [], positions: [], partEnds: [], tokenCount: ids.length };
  let [segment, read, part, partEnd] = ['', 0, 0, lengths[0]!];
  for (const [i, position] of candidates.entries()) {
    segment += pieces[i]!;
    read += pieces[i]!.length;
    const endsPart = part < parts.length && read >= partEnd;
    if (!endsPart && !holdsSeparator.has(ids[position]!)) continue;
    ends.segments.push(segment);
    ends.positions.push(position);
    ends.partEnds.push(endsPart ? part : undefined);
    segment = '';
    if (!endsPart) continue;
    part += 1;
    partEnd += lengths[part] ?? 0;
    if (part < parts.length && read >= partEnd) return undefined;
  }
  return part === parts.length && read === partEnd ? ends : undefined;
}
