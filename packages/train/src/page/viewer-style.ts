/** The style of the trace viewer, in the colours of the page's own style sheet. */
export const VIEWER_STYLE = `
.viewer { width: min(1640px, calc(100vw - 48px)); margin-left: 50%; transform: translateX(-50%); }
.controls { display: flex; flex-wrap: wrap; gap: 10px; align-items: center; margin-bottom: 12px; }
.controls input, .controls select, .beside select {
  font: inherit; font-size: 15px; color: var(--ink); background: var(--surface); border: 1px solid var(--line);
  border-radius: 8px; padding: 6px 10px; min-width: 0; max-width: 100%;
}
.controls input { flex: 1 1 260px; }
.controls output { color: var(--muted); font-size: 14px; margin-left: auto; }
.keys { color: var(--muted); font-size: 13.5px; margin-top: 10px; }
kbd {
  font: inherit; font-size: 12px; border: 1px solid var(--line); border-bottom-width: 2px; border-radius: 5px;
  padding: 0 5px; background: var(--surface); color: var(--ink);
}
.panes { display: grid; grid-template-columns: minmax(250px, 300px) 1fr 1fr; gap: 12px; }
.pane { padding: 0; height: min(78vh, 860px); min-height: 420px; display: flex; flex-direction: column; overflow: hidden; }
.list { overflow-y: auto; flex: 1; position: relative; overscroll-behavior: contain; }
.list:focus-visible, .trace:focus-visible { outline-offset: -2px; border-radius: 10px; }
.rows { position: relative; }
.trace-row {
  position: absolute; left: 2px; right: 2px; height: 62px; padding: 9px 12px; border-bottom: 1px solid var(--line);
  display: grid; grid-template-columns: auto 1fr auto; grid-template-rows: auto auto; column-gap: 10px; cursor: pointer;
}
.trace-row:hover { background: color-mix(in srgb, var(--accent) 7%, transparent); }
.trace-row[aria-selected="true"] {
  background: color-mix(in srgb, var(--accent) 15%, transparent); box-shadow: inset 4px 0 0 var(--accent);
}
.trace-row > * { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.row-answer { font-weight: 600; }
.row-score { font-variant-numeric: tabular-nums; color: var(--muted); }
.row-question { grid-column: 1 / -1; color: var(--muted); font-size: 13.5px; }
.mark { font-weight: 600; font-size: 14px; white-space: nowrap; }
.mark.right { color: var(--right); }
.mark.wrong { color: var(--wrong); }
.asked { display: block; max-height: 9.5em; overflow: auto; margin-bottom: 12px; padding: 12px 16px; }
.asked p { white-space: pre-wrap; overflow-wrap: anywhere; }
.asked .truth { color: var(--muted); font-size: 14px; margin-top: 4px; }
.beside { padding: 9px 14px; border-bottom: 1px solid var(--line); display: flex; gap: 8px; align-items: center; font-size: 14px; min-height: 51px; }
.beside select { flex: 1; font-size: 14px; padding: 4px 8px; }
.trace { overflow-y: auto; flex: 1; padding: 12px 14px 20px; overscroll-behavior: contain; }
.trace-head { display: flex; flex-wrap: wrap; gap: 2px 10px; align-items: baseline; overflow-wrap: anywhere; }
.trace-figures { font-variant-numeric: tabular-nums; }
.trace-source { color: var(--muted); font-size: 13px; flex-basis: 100%; }
.sparkline { width: 100%; height: 72px; margin: 10px 0 4px; display: block; border: 1px solid var(--line); border-radius: 6px; overflow: visible; }
.sparkline * { vector-effect: non-scaling-stroke; fill: none; }
.sparkline .half { stroke: var(--line); stroke-dasharray: 4 4; }
.sparkline .dots { stroke: var(--muted); stroke-width: 5; stroke-linecap: round; opacity: 0.75; }
.sparkline .mean { stroke: var(--accent); stroke-width: 2.25; stroke-linejoin: round; }
.pieces { list-style: none; margin: 10px 0 0; padding: 0; font-size: 14.5px; }
.piece { display: grid; grid-template-columns: 106px 1fr; margin-bottom: 3px; border-radius: 6px; content-visibility: auto; contain-intrinsic-size: auto 46px; }
.piece.high { --tint: var(--right); }
.piece.low { --tint: var(--wrong); }
.gutter {
  display: grid; grid-template-columns: 30px 34px 34px; column-gap: 2px; padding: 6px 0; align-content: start;
  font-size: 12.5px; line-height: 1.75; font-variant-numeric: tabular-nums; text-align: right; color: var(--muted);
}
.column-titles { margin-top: 10px; }
.column-titles .gutter { width: 106px; padding: 0; font-size: 11.5px; }
.column-titles + .pieces { margin-top: 0; }
.step-score { font-weight: 600; color: var(--ink); }
.piece-text { padding: 6px 12px; white-space: pre-wrap; overflow-wrap: anywhere; border-radius: 6px; min-width: 0; }
.piece.high .piece-text, .piece.low .piece-text, .loose .piece { background: color-mix(in srgb, var(--tint) var(--strength), transparent); }
.loose { display: grid; grid-template-columns: repeat(auto-fill, 112px); gap: 3px; }
.loose .piece { grid-template-columns: auto; }
.scale { display: flex; flex-wrap: wrap; gap: 4px 14px; align-items: center; color: var(--muted); font-size: 13.5px; }
.scale .bar {
  width: 150px; height: 12px; border-radius: 3px; border: 1px solid var(--line);
  background: linear-gradient(90deg, color-mix(in srgb, var(--wrong) 36%, transparent), transparent, color-mix(in srgb, var(--right) 36%, transparent));
}
@media (max-width: 980px) {
  .panes { grid-template-columns: 1fr 1fr; }
  .panes > :first-child { grid-column: 1 / -1; height: 300px; min-height: 0; }
}
@media (max-width: 760px) {
  .viewer { width: auto; margin-left: 0; transform: none; }
  .panes { grid-template-columns: 1fr; }
  .controls select { flex: 1 1 150px; }
  .pane { height: auto; max-height: 80vh; min-height: 0; }
  .piece { grid-template-columns: 1fr; }
  .gutter { justify-content: start; padding: 4px 12px 0; line-height: 1.4; grid-template-columns: minmax(30px, auto) 34px 34px; column-gap: 8px; }
  .column-titles .gutter { width: auto; padding: 0 12px; }
  .gutter:empty { display: none; }
  .piece-text { padding-top: 2px; }
}
`;
