import { LIGHT } from '@scorer/core/report';
import { PNG } from 'pngjs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Figure, withTitle } from './chart-style.js';
import { lossCurves, validationMetrics } from './figures.js';
import { sampleRun } from './fixtures/sample-run.js';
import { openPngRenderer, type PngRenderer, readPlotlySource } from './png.js';

const size = { width: 1100, height: 520 };
const run = sampleRun({ best: { epoch: 16, auc: 0.9, accuracy: 0.5, f1: 0.2, precision: 0.3, recall: 0.4 } });
const bars = withTitle(validationMetrics([run], LIGHT), { title: 'Validation metrics', subtitle: run.name }, LIGHT);
let renderer: PngRenderer;

beforeAll(async () => {
  renderer = await openPngRenderer(await readPlotlySource());
});
afterAll(() => renderer.close());

describe('openPngRenderer', () => {
  it('draws twice the figure’s size', async () => {
    const { width, height } = await draw(bars);
    expect([width, height]).toEqual([2200, 1040]);
  });

  it('draws bars where their values are, with a label above each', async () => {
    const picture = await draw(bars);
    const { l, r, t, b } = bars.layout.margin as { l: number; r: number; t: number; b: number };
    const plot = { width: size.width - l - r, height: size.height - t - b };
    for (const [panel, value] of [0.9, 0.5, 0.2].entries()) {
      const domain = [bars.layout.xaxis, bars.layout.xaxis2, bars.layout.xaxis3][panel]!.domain!;
      const x = l + ((domain[0]! + domain[1]!) / 2) * plot.width;
      const top = size.height - b - (value / 1.05) * plot.height;
      expect(colorAt(picture, x, top + 3)).toBe(LIGHT.series[0]);
      expect(colorAt(picture, x, size.height - b - 3)).toBe(LIGHT.series[0]);
      expect(colorAt(picture, x, top - 3)).toBe(LIGHT.background);
      expect(inkIn(picture, { x: x - 25, y: top - 24, width: 50, height: 20 })).toBeGreaterThan(100);
    }
  });

  it('draws the title with its own font, whatever the machine has', async () => {
    const title = { x: 20, y: 20, width: 300, height: 34 };
    expect(inkIn(await draw(bars), title)).toBeGreaterThan(1000);
    const untitled = { ...bars, layout: { ...bars.layout, title: { text: '' } } };
    expect(inkIn(await draw(untitled), title)).toBe(0);
  });

  it('keeps a name inside the picture however long it is', async () => {
    const long = [sampleRun({ name: 'W'.repeat(300) }), sampleRun({ name: 'M'.repeat(300) })];
    const subtitle = 'W'.repeat(300);
    const { width, height } = { width: 960, height: 560 };
    const picture = await draw(withTitle(lossCurves(long, LIGHT), { title: 'Training loss', subtitle }, LIGHT), {
      width,
      height,
    });
    for (const edge of [
      { x: 0, y: 0, width: 4, height },
      { x: width - 4, y: 0, width: 4, height },
      { x: 0, y: 0, width, height: 4 },
      { x: 0, y: height - 4, width, height: 4 },
    ]) {
      expect(inkIn(picture, edge)).toBe(0);
    }
  });

  it('gives equal bytes for equal figures, also from another renderer', async () => {
    const other = await openPngRenderer(await readPlotlySource());
    const bytes = await other.render(bars, size);
    other.close();
    expect(Buffer.compare(await renderer.render(bars, size), bytes)).toBe(0);
  });

  it('sets no global of the process', async () => {
    const before = Object.getOwnPropertyNames(globalThis);
    const other = await openPngRenderer(await readPlotlySource());
    await other.render(bars, size);
    other.close();
    expect(Object.getOwnPropertyNames(globalThis)).toEqual(before);
  });
});

async function draw(figure: Figure, figureSize = size): Promise<PNG> {
  return PNG.sync.read(Buffer.from(await renderer.render(figure, figureSize)));
}

/** Both take the figure's pixels, of which the picture has twice as many. */
function colorAt(picture: PNG, x: number, y: number): string {
  const at = (Math.round(2 * y) * picture.width + Math.round(2 * x)) * 4;
  return `#${picture.data.subarray(at, at + 3).toString('hex')}`;
}

function inkIn(picture: PNG, area: { x: number; y: number; width: number; height: number }): number {
  let dark = 0;
  for (let y = Math.round(2 * area.y); y < 2 * (area.y + area.height); y++) {
    for (let x = Math.round(2 * area.x); x < 2 * (area.x + area.width); x++) {
      if (picture.data[(y * picture.width + x) * 4]! < 128) dark++;
    }
  }
  return dark;
}
