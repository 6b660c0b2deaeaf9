import { openBlocks } from './blocks.js';
import { chooseTraces, searchTexts } from './choose.js';
import type { TraceOverview } from './data.js';
import { byId } from './element.js';
import { openList } from './list.js';
import { openPanes } from './panes.js';

/** A pause in typing after which the texts are searched. */
const SEARCH_PAUSE_MS = 150;

startViewer();

function startViewer(): void {
  const overview = JSON.parse(byId('trace-overview').textContent) as TraceOverview;
  const blocks = openBlocks(overview);
  const search = byId<HTMLInputElement>('trace-search');
  const show = byId<HTMLSelectElement>('trace-show');
  const order = byId<HTMLSelectElement>('trace-order');

  let listed: readonly number[] = [];
  let chosen = -1;
  let searches = 0;
  let pause: ReturnType<typeof setTimeout>;

  const listElement = byId('trace-list');
  const panes = openPanes(overview, blocks);
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
    chosen = trace;
    list.show(listed, listed.indexOf(trace));
    panes.show(trace);
  }

  search.addEventListener('input', onChoice);
  show.addEventListener('change', onChoice);
  order.addEventListener('change', onChoice);
  listElement.addEventListener('keydown', ({ key }) => {
    if (key === 'Enter') panes.focus();
    const step = { ArrowLeft: -1, ArrowRight: 1 }[key];
    if (step !== undefined) panes.stepOther(step);
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
