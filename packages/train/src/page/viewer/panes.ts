import type { TraceBlocks } from './blocks.js';
import type { TraceOverview } from './data.js';
import { byId, element } from './element.js';
import { traceView } from './trace-view.js';

/** A trace on the left, and beside it another one of its question. */
export interface Panes {
  show(trace: number): void;
  /** Changes the other one to the next (1) or the one before (-1). */
  stepOther(step: number): void;
  focus(): void;
}

export function openPanes(overview: TraceOverview, blocks: TraceBlocks): Panes {
  const other = byId<HTMLSelectElement>('trace-other');
  const [left, right] = [byId('trace-left'), byId('trace-right')];
  let chosen = -1; // the trace on the left
  other.addEventListener('change', displayOther);
  return {
    show(trace) {
      const isSameQuestion = overview.traces[chosen]?.question === overview.traces[trace]!.question;
      chosen = trace;
      const { text, truth } = overview.questions[overview.traces[trace]!.question]!;
      byId('trace-question').textContent = text;
      byId('trace-truth').textContent = truth;
      fillOthers(isSameQuestion ? Number(other.value) : undefined);
      display(left, trace);
      displayOther();
    },
    stepOther(step) {
      if (!other.options[other.selectedIndex + step]) return;
      other.selectedIndex += step;
      displayOther();
    },
    focus: () => left.focus(),
  };

  /** The other traces of the question, to stand on the right; at first the first that ends otherwise. */
  function fillOthers(wanted: number | undefined): void {
    const { question, right: isRight } = overview.traces[chosen]!;
    const others = [...overview.traces.keys()].filter(
      (trace) => trace !== chosen && overview.traces[trace]!.question === question,
    );
    other.replaceChildren(
      ...others.map((trace) => {
        const { right: isOtherRight, answer, score } = overview.traces[trace]!;
        const figures = [answer ?? 'no answer', ...(score === null ? [] : [score.toFixed(3)])];
        return element('option', { value: String(trace) }, [`${isOtherRight ? '✓' : '✗'} ${figures.join(' · ')}`]);
      }),
    );
    const opposite = others.filter((trace) => overview.traces[trace]!.right !== isRight);
    const place = others.filter((trace) => trace < chosen).length + 1;
    byId('trace-place').textContent = `trace ${place} of ${others.length + 1} of this question`;
    const kept = wanted !== undefined && opposite.includes(wanted) ? wanted : opposite[0];
    other.value = String(kept ?? others[0] ?? '');
    other.disabled = others.length === 0;
  }

  function displayOther(): void {
    if (other.value !== '') display(right, Number(other.value));
    else right.replaceChildren(element('p', { class: 'note' }, ['This question has no other trace here.']));
  }

  function display(panel: HTMLElement, trace: number): void {
    panel.dataset.trace = String(trace);
    blocks.detail(trace).then(
      (detail) => {
        if (panel.dataset.trace !== String(trace)) return; // another was chosen meanwhile
        panel.replaceChildren(...traceView(overview.traces[trace]!, detail, overview));
        panel.scrollTop = 0;
        performance.mark('trace shown');
      },
      (error) => panel.replaceChildren(element('p', { class: 'note' }, [`This trace can't be read: ${error}`])),
    );
  }
}
