import { describe, expect, it } from 'vitest';
import { traceDetail } from './trace-text.js';

const PROMPT = '<user>\nWhat is\n\n1/2?\n<assistant>\n';
const THOUGHT = '<think>\nFirst.\n\nSecond.\n\n\nThird';
const RESPONSE = `${THOUGHT}</think>\n\n\\boxed{1/2}`;

/** The prompt ends a step at token 5, the reasoning two at 20 and 30. */
const source = { fullForwardText: PROMPT + THOUGHT, originalResponse: RESPONSE, stepPositions: [5, 20, 30] };

describe('traceDetail', () => {
  it('cuts the reasoning where steps end and leaves the prompt out; what follows the last step has no score', () => {
    expect(traceDetail(source, [20, 30], [0.4, 0.6])).toEqual({
      scores: [0.4, 0.6],
      pieces: [
        ['<think>\nFirst.\n\n', 0],
        ['Second.\n\n\n', 1],
        ['Third</think>\n\n\\boxed{1/2}', null],
      ],
    });
  });

  it('shows a step of the prompt where it has a score', () => {
    const { pieces } = traceDetail(source, [5, 20, 30], [0.1, 0.4, 0.6]);
    expect(pieces[0]).toEqual(['<user>\nWhat is\n\n', 0]);
    expect(pieces[1]).toEqual(['<think>\nFirst.\n\n', 1]);
  });

  it('counts each two line breaks as a step where the tokens do', () => {
    const text = 'A\n\n\n\nB';
    const detail = traceDetail(
      { fullForwardText: text, originalResponse: text, stepPositions: [1, 2] },
      [1, 2],
      [0.1, 0.2],
    );
    expect(detail.pieces).toEqual([
      ['A\n\n', 0],
      ['\n\n', 1],
      ['B', null],
    ]);
  });

  it('leaves the text whole where it has another number of steps than the shard', () => {
    const detail = traceDetail({ ...source, stepPositions: [5, 20, 25, 30] }, [20, 25, 30], [0.1, 0.2, 0.3]);
    expect(detail).toEqual({ scores: [0.1, 0.2, 0.3], pieces: [[RESPONSE, null]] });
  });

  it('finds the response also where the tokenizer composes characters', () => {
    const response = 'Cafe\u0301.\n\nDone</think> x';
    const fullForwardText = `<user>?<assistant>${'Cafe\u0301.\n\nDone'.normalize('NFC')}`;
    const { pieces } = traceDetail({ fullForwardText, originalResponse: response, stepPositions: [9] }, [9], [0.5]);
    expect(pieces).toEqual([
      ['Café.\n\n', 0],
      ['Done</think> x', null],
    ]);
  });

  it('is not misled by a prompt that begins as the response does', () => {
    const text = `<think>\nFirst.\n\nThat was an example.${THOUGHT}`;
    const { pieces } = traceDetail(
      { fullForwardText: text, originalResponse: RESPONSE, stepPositions: [3, 20, 30] },
      [20, 30],
      [0.4, 0.6],
    );
    expect(pieces[0]).toEqual(['<think>\nFirst.\n\n', 0]);
    expect(pieces).toHaveLength(3);
  });
});
