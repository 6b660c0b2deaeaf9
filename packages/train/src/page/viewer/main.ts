import { openBlocks } from './blocks.js';
import { chooseTraces, searchTexts } from './choose.js';
import type { TraceOverview } from './data.js';
import { byId, element } from './element.js';
import { openList } from './list.js';
import { traceView } from './trace-view.js';

/** A pause in typing after which the texts are searched. */
const SEARCH_PAUSE_MS = 150;

startViewer();

function startViewer(): void {
  const overview = JSON.parse(byId('trace-overview').textContent) as TraceOverview;
  const blocks = openBlocks(overview);
  const search = byId<HTMLInputElement>('trace-search');
  const show = byId<HTMLSelectElement>('trace-show');
  const order = byId<HTMLSelectElement>('trace-order');
  const other = byId<HTMLSelectElement>('trace-other');
  const [left, right] = [byId('trace-left'), byId('trace-right')];

  let listed: readonly number[] = [];
  let chosen = -1; // the trace on the left
  let searches = 0;
  let pause: ReturnType<typeof setTimeout>;

  const listElement = byId('trace-list');
  const list = openList(listElement, overview, (position) => choose(listed[position]!));

  function refresh(inText: ReadonlySet<number> = new Set()): void {
    const choice = { search: search.value.trim().toLowerCase(), show: show.value, order: order.value };
    listed = chooseTraces(overview, choice, inText);
    const all = overview.traces.length.toLocaleString('en-US');
    byId('trace-count').textContent = `${listed.length.toLocaleString('en-US')} of ${all} traces`;
    list.show(listed, listed.indexOf(chosen));
    if (listed.length > 0 && !listed.includes(chosen)) choose(listed[0]!);
  }

  function onChoice(): void {
    refresh();
    const current = ++searches;
    clearTimeout(pause);
    const text = search.value.trim().toLowerCase();
    listElement.setAttribute('aria-busy', 'true');
    pause = setTimeout(async () => {
      await searchTexts(text, overview, blocks, () => current === searches, refresh);
      if (current === searches) listElement.setAttribute('aria-busy', 'false');
    }, SEARCH_PAUSE_MS);
  }

  function choose(trace: number): void {
    const isSameQuestion = overview.traces[chosen]?.question === overview.traces[trace]!.question;
    chosen = trace;
    list.show(listed, listed.indexOf(trace));
    const { text, truth } = overview.questions[overview.traces[trace]!.question]!;
    byId('trace-question').textContent = text;
    byId('trace-truth').textContent = truth;
    fillOthers(isSameQuestion ? Number(other.value) : undefined);
    display(left, trace);
    displayOther();
  }

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

  search.addEventListener('input', onChoice);
  show.addEventListener('change', onChoice);
  order.addEventListener('change', onChoice);
  other.addEventListener('change', displayOther);
  listElement.addEventListener('keydown', ({ key }) => {
    if (key === 'Enter') left.focus();
    const step = { ArrowLeft: -1, ArrowRight: 1 }[key];
    if (step === undefined || !other.options[other.selectedIndex + step]) return;
    other.selectedIndex += step;
    displayOther();
  });
  search.addEventListener('keydown', ({ key }) => {
    if (key === 'ArrowDown' || key === 'Enter') listElement.focus();
    if (key !== 'Escape') return;
    search.value = '';
    onChoice();
  });
  document.addEventListener('keydown', (event) => {
    const isTyping = (event.target as Element).closest('input, select, textarea') !== null;
    if (event.key !== '/' || isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    search.focus();
    search.select();
  });

  const [low, , high] = overview.scale;
  byId('trace-low').textContent = `${low.toFixed(2)} and less`;
  byId('trace-high').textContent = `${high.toFixed(2)} and more`;
  byId('trace-viewer').hidden = false;
  refresh();
}
