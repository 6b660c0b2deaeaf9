import { type Html, html } from '@scorer/core/report';

/** The viewer's place in the page; its script fills it. */
export function traceViewer(note: string): Html {
  return html`<section class="viewer" aria-labelledby="traces">
<h2 id="traces">Traces</h2>
<noscript><p class="card warning">The traces need JavaScript.</p></noscript>
<div id="trace-viewer" hidden>
<div class="controls">
<input type="search" id="trace-search" placeholder="Search questions, answers and texts" aria-label="Search traces" autocomplete="off" spellcheck="false">
<select id="trace-show" aria-label="Which traces">
<option value="all">all traces</option>
<option value="right">right ones</option>
<option value="wrong">wrong ones</option>
<option value="mixed">of questions with both</option>
</select>
<select id="trace-order" aria-label="Order">
<option value="question">by question</option>
<option value="highest">highest score first</option>
<option value="lowest">lowest score first</option>
<option value="misleading">most misleading score first</option>
</select>
<output id="trace-count"></output>
</div>
<div class="card asked"><p id="trace-question"></p><p class="truth">True answer: <strong id="trace-truth"></strong></p></div>
<div class="panes">
<div class="card pane"><div class="list" id="trace-list" role="listbox" tabindex="0" aria-label="Traces"><div class="rows" data-rows></div></div></div>
<div class="card pane"><div class="beside" id="trace-place"></div>
<div class="trace" id="trace-left" tabindex="0" role="region" aria-label="Chosen trace"></div></div>
<div class="card pane"><div class="beside"><label for="trace-other">beside it</label><select id="trace-other"></select></div>
<div class="trace" id="trace-right" tabindex="0" role="region" aria-label="Trace beside it"></div></div>
</div>
<p class="keys"><kbd>/</kbd> search · <kbd>↑</kbd> <kbd>↓</kbd> trace · <kbd>←</kbd> <kbd>→</kbd> the one beside it · <kbd>Enter</kbd> read</p>
<div class="scale"><span>Step number, score, running mean.</span><span id="trace-low"></span><span class="bar" aria-hidden="true"></span><span id="trace-high"></span></div>
<p class="note">${note}</p>
</div>
</section>`;
}
