import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createProgressDisplay, type Progress } from './progress.js';

beforeEach(() => void vi.useFakeTimers({ toFake: ['performance'] }));
afterEach(() => void vi.useRealTimers());

/** What a display writes for what is shown at these seconds. */
function shown(...steps: [seconds: number, progress: Progress][]): string {
  const stream = new PassThrough();
  const display = createProgressDisplay(stream as unknown as NodeJS.WriteStream);
  let now = 0;
  for (const [seconds, progress] of steps) {
    vi.advanceTimersByTime((seconds - now) * 1000);
    now = seconds;
    display.show(progress);
  }
  display.close();
  return String(stream.read() ?? '');
}

const traces = (done: number, tokens: number, perSecond: number): Progress => ({
  stage: 'extracting',
  done,
  total: 40,
  unit: 'traces',
  work: { done: tokens, total: 20_000, unit: 'tokens', perSecond },
});

test('rate and time left go by the work, where that is told beside the count', () => {
  expect(shown([0, traces(1, 2_000, 800)], [10, traces(4, 8_000, 800)])).toBe(
    'extracting: 4/40 traces, 8000/20000 tokens (800 tokens/s, 15 s left)\n',
  );
  expect(shown([0, traces(1, 100, 2)], [100, traces(4, 200, 2)])).toContain('(2.0 tokens/s, 2 h 45 min left)');
  expect(shown([0, traces(0, 0, 0)], [100, traces(4, 0, 0)])).toBe('extracting: 4/40 traces, 0/20000 tokens\n');
});

test('what was done before a stage was first told of counts for nothing in the rate', () => {
  const lines = (done: number): Progress => ({ stage: 'reading', done, total: 300, unit: 'lines' });
  expect(shown([0, lines(100)], [10, lines(120)])).toContain('120/300 lines (2.0/s, 2 min left)');
  expect(shown([0, lines(300)])).toBe('reading: 300/300 lines\n');
});

test('a line comes every five seconds and at the end, which has no time left', () => {
  const steps = (done: number): Progress => ({ stage: 'reading', done, total: 9, unit: 'lines' });
  expect(shown([0, steps(0)], [1, steps(2)], [6, steps(3)], [7, steps(4)], [9, steps(9)])).toBe(
    'reading: 3/9 lines (0.5/s, 12 s left)\nreading: 9/9 lines (1.0/s)\n',
  );
  expect(
    shown([0, { stage: 'reading', done: 0, unit: 'lines' }], [6, { stage: 'reading', done: 90, unit: 'lines' }]),
  ).toBe('reading: 90 lines (15/s)\n');
});

test('the end of a stage is told once, however often it is reached in a coarse unit', () => {
  const megabytes: Progress = { stage: 'verifying', done: 1, total: 1, unit: 'MB' };
  expect(shown([0, megabytes], [1, megabytes], [9, megabytes])).toBe('verifying: 1/1 MB\n');
  expect(shown([0, megabytes], [1, { ...megabytes, stage: 'merging' }])).toBe('verifying: 1/1 MB\nmerging: 1/1 MB\n');
});
