import { describe, expect, it } from 'vitest';
import { chooseTraces, searchTexts } from './viewer/choose.js';
import type { TraceOverview } from './viewer/data.js';

const trace = { source: 'a.safetensors, line 1', tokens: 10 };
const overview: TraceOverview = {
  questions: [
    { text: 'How many plums?', truth: '45' },
    { text: 'How many pears?', truth: '7' },
  ],
  traces: [
    { ...trace, question: 0, answer: '45', right: true, score: 0.2 },
    { ...trace, question: 0, answer: '44', right: false, score: 0.9 },
    { ...trace, question: 1, answer: '7', right: true, score: 0.8 },
    { ...trace, question: 1, answer: null, right: true, score: null },
  ],
  blockStarts: [0, 2],
  scale: [0, 0.5, 1],
};

const choose = (choice: { search?: string; show?: string; order?: string }, inText: readonly number[] = []): number[] =>
  chooseTraces(overview, { search: '', show: 'all', order: 'question', ...choice }, new Set(inText));

describe('chooseTraces', () => {
  it('shows all, the right, the wrong, or those of questions with both', () => {
    expect(choose({})).toEqual([0, 1, 2, 3]);
    expect(choose({ show: 'right' })).toEqual([0, 2, 3]);
    expect(choose({ show: 'wrong' })).toEqual([1]);
    expect(choose({ show: 'mixed' })).toEqual([0, 1]);
  });

  it('finds questions, answers and whatever was found in a text', () => {
    expect(choose({ search: 'plums' })).toEqual([0, 1]);
    expect(choose({ search: '44' })).toEqual([1]);
    expect(choose({ search: '44', show: 'right' }, [3])).toEqual([3]);
  });

  it('puts the highest, the lowest or the most misleading score first, and a missing one last', () => {
    expect(choose({ order: 'highest' })).toEqual([1, 2, 0, 3]);
    expect(choose({ order: 'lowest' })).toEqual([0, 2, 1, 3]);
    expect(choose({ order: 'misleading' })).toEqual([1, 0, 2, 3]);
  });
});

describe('searchTexts', () => {
  const texts = ['Alpha', 'beta', 'gamma', 'ALPHA again'];
  const blocks = {
    count: 2,
    read: async (block: number) =>
      texts.slice(2 * block, 2 * block + 2).map((text) => ({ scores: [], pieces: [[text, null]] as const })),
    detail: () => Promise.reject(new Error('not asked for')),
  };

  it('tells what it has found after each block, whatever the case', async () => {
    const found: number[][] = [];
    await searchTexts(
      'alpha',
      overview,
      blocks,
      () => true,
      (traces) => found.push([...traces]),
    );
    expect(found).toEqual([[0], [0, 3]]);
  });

  it('stops when another search has begun', async () => {
    let reads = 0;
    const isCurrent = (): boolean => ++reads < 2;
    const found: number[][] = [];
    await searchTexts('alpha', overview, blocks, isCurrent, (traces) => found.push([...traces]));
    expect(found).toEqual([[0]]);
  });
});
