import type { TraceBlocks } from './blocks.js';
import type { TraceOverview, TraceSummary } from './data.js';

/** Shorter words stand in nearly every text. */
const SHORTEST_TEXT_SEARCH = 3;

export interface Choice {
  /** Lower case. */
  readonly search: string;
  readonly show: string;
  readonly order: string;
}

/** The traces to list, by number; a trace whose text holds the search counts where `inText` has it. */
export function chooseTraces(overview: TraceOverview, choice: Choice, inText: ReadonlySet<number>): number[] {
  const { questions, traces } = overview;
  const mixed = choice.show === 'mixed' ? mixedQuestions(overview) : undefined;
  const isShown = ({ question, right }: TraceSummary): boolean => {
    if (choice.show === 'right') return right;
    if (choice.show === 'wrong') return !right;
    return mixed?.has(question) ?? true;
  };
  const isFound = ({ question, source, answer }: TraceSummary, trace: number): boolean => {
    if (choice.search === '' || inText.has(trace)) return true;
    const { text, truth } = questions[question]!;
    return [text, truth, answer ?? '', source].some((part) => part.toLowerCase().includes(choice.search));
  };
  const chosen: number[] = [];
  for (const [trace, summary] of traces.entries()) {
    if (isShown(summary) && isFound(summary, trace)) chosen.push(trace);
  }
  const rank = RANKS[choice.order];
  return rank ? chosen.sort((a, b) => rank(traces[b]!) - rank(traces[a]!) || a - b) : chosen;
}

/** The highest comes first; a trace without a score last. */
const RANKS: Record<string, (trace: TraceSummary) => number> = {
  highest: ({ score }) => score ?? -1,
  lowest: ({ score }) => 1 - (score ?? 2),
  misleading: ({ score, right }) => (score === null ? -1 : right ? 1 - score : score),
};

/** Questions with a right and a wrong trace. */
function mixedQuestions({ traces }: TraceOverview): Set<number> {
  const [right, wrong] = [true, false].map(
    (label) => new Set(traces.filter((trace) => trace.right === label).map(({ question }) => question)),
  ) as [Set<number>, Set<number>];
  return new Set([...right].filter((question) => wrong.has(question)));
}

/** Looks through the texts of all traces, a block at a time; `onFound` gets what was found so far. */
export async function searchTexts(
  search: string,
  { blockStarts }: TraceOverview,
  blocks: TraceBlocks,
  isCurrent: () => boolean,
  onFound: (traces: ReadonlySet<number>) => void,
): Promise<void> {
  if (search.length < SHORTEST_TEXT_SEARCH) return;
  const found = new Set<number>();
  for (let block = 0; block < blocks.count; block++) {
    const traces = await blocks.read(block);
    if (!isCurrent()) return;
    const before = found.size;
    for (const [i, { pieces }] of traces.entries()) {
      const text = pieces.map(([piece]) => piece).join('');
      if (text.toLowerCase().includes(search)) found.add(blockStarts[block]! + i);
    }
    if (found.size > before) onFound(found);
  }
}
