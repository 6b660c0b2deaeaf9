import type { TraceOverview } from './data.js';
import { element } from './element.js';

/** Of a row of the list, in pixels, as in the style sheet. */
const ROW_HEIGHT = 62;
/** Rows beyond the edge that are made ahead, so that scrolling shows no gap. */
const ROWS_AHEAD = 6;

export interface TraceList {
  /** Shows these traces; the one at `position` is the chosen one. */
  show(traces: readonly number[], position: number): void;
}

/** A list that only makes the rows that can be seen. */
export function openList(list: HTMLElement, overview: TraceOverview, onChoose: (position: number) => void): TraceList {
  const rows = list.querySelector<HTMLElement>('[data-rows]')!;
  let traces: readonly number[] = [];
  let chosen = -1;

  function draw(): void {
    const first = Math.max(Math.floor(list.scrollTop / ROW_HEIGHT) - ROWS_AHEAD, 0);
    const end = Math.min(first + Math.ceil(list.clientHeight / ROW_HEIGHT) + 2 * ROWS_AHEAD, traces.length);
    rows.style.height = `${traces.length * ROW_HEIGHT}px`;
    rows.replaceChildren(
      ...traces.slice(first, end).map((trace, i) => {
        const position = first + i;
        const row = traceRow(overview, trace);
        row.id = `trace-${trace}`;
        row.style.top = `${position * ROW_HEIGHT}px`;
        row.dataset.position = String(position);
        row.setAttribute('aria-selected', String(position === chosen));
        row.setAttribute('aria-setsize', String(traces.length));
        row.setAttribute('aria-posinset', String(position + 1));
        return row;
      }),
    );
    if (traces[chosen] === undefined) list.removeAttribute('aria-activedescendant');
    else list.setAttribute('aria-activedescendant', `trace-${traces[chosen]}`);
  }

  function scrollToChosen(): void {
    const top = chosen * ROW_HEIGHT;
    if (top < list.scrollTop) list.scrollTop = top;
    if (top + ROW_HEIGHT > list.scrollTop + list.clientHeight) list.scrollTop = top + ROW_HEIGHT - list.clientHeight;
  }

  list.addEventListener('scroll', () => requestAnimationFrame(draw), { passive: true });
  new ResizeObserver(draw).observe(list);
  list.addEventListener('click', ({ target }) => {
    const row = (target as Element).closest<HTMLElement>('[data-position]');
    if (row) onChoose(Number(row.dataset.position));
  });
  list.addEventListener('keydown', (event) => {
    const page = Math.max(Math.floor(list.clientHeight / ROW_HEIGHT) - 1, 1);
    const moves: Record<string, number> = {
      ArrowDown: chosen + 1,
      ArrowUp: chosen - 1,
      PageDown: chosen + page,
      PageUp: chosen - page,
      Home: 0,
      End: traces.length - 1,
    };
    const wanted = moves[event.key];
    if (wanted === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const position = Math.min(Math.max(wanted, 0), traces.length - 1);
    if (position >= 0 && position !== chosen) onChoose(position);
  });

  return {
    show(shown, position) {
      traces = shown;
      chosen = position;
      rows.style.height = `${traces.length * ROW_HEIGHT}px`;
      if (chosen >= 0) scrollToChosen();
      draw();
    },
  };
}

function traceRow({ questions, traces }: TraceOverview, trace: number): HTMLElement {
  const { question, answer, right, score } = traces[trace]!;
  return element('div', { class: 'trace-row', role: 'option' }, [
    element('span', { class: right ? 'mark right' : 'mark wrong' }, [right ? '✓ right' : '✗ wrong']),
    element('span', { class: 'row-answer' }, [answer ?? 'no answer']),
    element('span', { class: 'row-score' }, [score === null ? '–' : score.toFixed(3)]),
    element('span', { class: 'row-question' }, [questions[question]!.text]),
  ]);
}
