import type { TraceDetail, TraceOverview } from './data.js';

/** Unpacked blocks that are kept: enough to walk about in a question and not to hold all texts at once. */
const KEPT_BLOCKS = 12;

export interface TraceBlocks {
  readonly count: number;
  /** The traces of a block, in order. */
  read(block: number): Promise<readonly TraceDetail[]>;
  detail(trace: number): Promise<TraceDetail>;
}

/** The blocks of traces in the page, unpacked when they are asked for. */
export function openBlocks({ blockStarts }: TraceOverview): TraceBlocks {
  const elements = [...document.querySelectorAll('script[data-traces]')];
  const kept = new Map<number, Promise<readonly TraceDetail[]>>();

  function read(block: number): Promise<readonly TraceDetail[]> {
    const traces = kept.get(block) ?? unpack<readonly TraceDetail[]>(elements[block]!.textContent);
    kept.delete(block);
    kept.set(block, traces); // the last used stands last
    for (const oldest of kept.keys()) {
      if (kept.size <= KEPT_BLOCKS) break;
      kept.delete(oldest);
    }
    return traces;
  }

  return {
    count: elements.length,
    read,
    async detail(trace) {
      const block = blockStarts.findLastIndex((start) => start <= trace);
      return (await read(block))[trace - blockStarts[block]!]!;
    },
  };
}

/** JSON that was packed with zlib and base64. */
async function unpack<Value>(base64: string): Promise<Value> {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate'));
  return JSON.parse(await new Response(stream).text()) as Value;
}
