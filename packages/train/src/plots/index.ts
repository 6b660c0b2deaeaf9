import { join } from 'node:path';
import { makeFolder, writeFileAtomic } from '@scorer/core/files';
import { LIGHT } from '@scorer/core/report';
import type { ReportDetails, RunCurves } from '../result.js';
import { withTitle } from './chart-style.js';
import { lossCurves, validationMetrics } from './figures.js';
import { openPngRenderer, readPlotlySource } from './png.js';
import { renderReport } from './report.js';

/** Sizes of the figures; the pictures have twice as many pixels each way. */
const LOSS_CURVES = { width: 960, height: 560 };
const VALIDATION_METRICS = { width: 1100, height: 520 };

/**
 * Draws a run, or several in one figure: `loss_curves.png`, `validation_metrics.png` and, of the first run alone,
 * `report.html` in `folder`, which is made if need be. Equal input gives equal bytes. Letters that Inter lacks (Latin,
 * Greek and Cyrillic it has) are boxes in the pictures, not in the report.
 * @param details those of the first run
 * @throws ScorerError `PNG_RENDERER_MISSING` (the report is written all the same), or a system error's code
 */
export async function writePlots(folder: string, runs: readonly RunCurves[], details: ReportDetails): Promise<void> {
  const [first] = runs;
  if (!first) throw new TypeError('there is no run to draw');
  await makeFolder(folder);
  const plotlySource = await readPlotlySource();
  await writeFileAtomic(join(folder, 'report.html'), renderReport(first, details, plotlySource));

  const renderer = await openPngRenderer(plotlySource);
  try {
    const subtitle =
      runs.length === 1 ? `${first.name}, best epoch ${first.best.epoch}` : `${runs.length} configurations`;
    const losses = withTitle(lossCurves(runs, LIGHT), { title: 'Training loss', subtitle }, LIGHT);
    const metrics = withTitle(validationMetrics(runs, LIGHT), { title: 'Validation metrics', subtitle }, LIGHT);
    await writeFileAtomic(join(folder, 'loss_curves.png'), await renderer.render(losses, LOSS_CURVES));
    await writeFileAtomic(join(folder, 'validation_metrics.png'), await renderer.render(metrics, VALIDATION_METRICS));
  } finally {
    renderer.close();
  }
}
