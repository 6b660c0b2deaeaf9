import { deflateSync } from 'node:zlib';
import { type Html, html, inlineJson } from '@scorer/core/report';
import type { TraceDetail, TraceOverview, TraceSummary } from './viewer/data.js';

/** Characters of JSON in a block: unpacked in a few milliseconds, and long enough to pack well. */
const BLOCK_CHARACTERS = 256 * 1024;

/** The share of the step scores that lies under each end and under the middle of the colour scale. */
const SCALE_QUANTILES = [0.05, 0.5, 0.95] as const;

/** Collects what a page carries of its traces; packed as it comes, so that no text stands in memory twice. */
export interface TraceBlocks {
  /** Traces of one question must follow each other. */
  add(question: { text: string; truth: string }, trace: Omit<TraceSummary, 'question'>, detail: TraceDetail): void;
  /** What the viewer's script reads. */
  markup(): Html;
}

export function traceBlocks(): TraceBlocks {
  const questions: { text: string; truth: string }[] = [];
  const traces: TraceSummary[] = [];
  const blockStarts: number[] = [];
  const packed: Html[] = [];
  const allScores: number[] = [];
  let block: string[] = [];
  let characters = 0;

  function closeBlock(): void {
    if (block.length === 0) return;
    blockStarts.push(traces.length - block.length);
    // Base64 holds no character that could end the element.
    const base64 = deflateSync(`[${block.join(',')}]`).toString('base64');
    packed.push(html`<script type="text/plain" data-traces>${base64}</script>\n`);
    block = [];
    characters = 0;
  }

  return {
    add(question, trace, detail) {
      if (questions.at(-1)?.text !== question.text) questions.push(question);
      traces.push({ question: questions.length - 1, ...trace });
      for (const score of detail.scores) allScores.push(score);
      const json = JSON.stringify(detail);
      block.push(json);
      characters += json.length;
      if (characters >= BLOCK_CHARACTERS) closeBlock();
    },
    markup() {
      closeBlock();
      const sorted = Float64Array.from(allScores).sort();
      const scale = SCALE_QUANTILES.map((share) => sorted[Math.floor(share * (sorted.length - 1))] ?? 0.5);
      const overview: TraceOverview = { questions, traces, blockStarts, scale: scale as [number, number, number] };
      return html`<script type="application/json" id="trace-overview">${inlineJson(overview)}</script>\n${packed}`;
    },
  };
}
