import { DARK, LIGHT } from '@scorer/core/report';
import { describe, expect, it } from 'vitest';
import { plainText, withTitle } from './chart-style.js';
import {
  lossCurves,
  metricsByEpoch,
  rocFigure,
  scoreDistribution,
  stepReliability,
  validationMetrics,
} from './figures.js';
import { sampleDetails, sampleRun } from './fixtures/sample-run.js';

const run = sampleRun();
const { validation } = sampleDetails();

describe('lossCurves', () => {
  it('draws the loss of every epoch, counted from 1, one line a configuration', () => {
    const other = sampleRun({ name: 'concat', lossCurve: [0.9, 0.8], best: { ...run.best, epoch: 1 } });
    const { data, layout } = lossCurves([run, other], LIGHT);
    const lines = data.filter(({ mode }) => mode?.includes('lines'));
    expect(lines.map(({ name }) => name)).toEqual(['qwen3_4b_default, best epoch 16', 'concat, best epoch 1']);
    expect(lines[0]!.x).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
    expect(lines[0]!.y).toEqual(run.lossCurve);
    expect(lines[1]!.y).toEqual([0.9, 0.8]);
    expect(layout.showlegend).toBe(true);
    expect(layout.xaxis?.title?.text).toBe('epoch');
    expect(layout.yaxis?.title?.text).toBe('training loss');
  });

  it('marks the best epoch on its curve', () => {
    const { data, layout } = lossCurves([run], LIGHT);
    expect(data.at(-1)).toMatchObject({ mode: 'markers', x: [16], y: [run.lossCurve[15]] });
    expect(layout.annotations).toMatchObject([{ text: 'best epoch 16', x: 16, y: run.lossCurve[15] }]);
  });

  it.each([
    ['a single epoch', [0.7]],
    ['a flat loss', [0.7, 0.7, 0.7]],
    ['a loss that ran away', [0.7, Number.NaN, Number.POSITIVE_INFINITY]],
  ])('leaves the range of %s to plotly', (_, lossCurve) => {
    const { layout } = lossCurves([sampleRun({ lossCurve, best: { ...run.best, epoch: 1 } })], LIGHT);
    expect(layout.yaxis?.range).toBeUndefined();
  });

  it('shows losses that hardly change with ticks that differ', () => {
    const { layout } = lossCurves([sampleRun({ lossCurve: [0.70012, 0.70008, 0.70003] })], LIGHT);
    expect(layout.yaxis?.tickformat).toBe('.5f');
  });
});

describe('validationMetrics', () => {
  it('has AUC, accuracy and F1 side by side on axes from 0 to 1.05, each bar labelled to three places', () => {
    const best = { epoch: 16, auc: 0.6506, accuracy: 0.9999, f1: 0, precision: 0.3, recall: 0.6 };
    const { data, layout } = validationMetrics([sampleRun({ best })], LIGHT);
    expect(data.map(({ type, y, text, xaxis }) => ({ type, y, text, xaxis }))).toEqual([
      { type: 'bar', y: [0.6506], text: ['0.651'], xaxis: 'x' },
      { type: 'bar', y: [0.9999], text: ['1.000'], xaxis: 'x2' },
      { type: 'bar', y: [0], text: ['0.000'], xaxis: 'x3' },
    ]);
    expect(layout.annotations?.map(({ text }) => text)).toEqual(['AUC', 'Accuracy', 'F1']);
    for (const axis of [layout.yaxis, layout.yaxis2, layout.yaxis3]) expect(axis?.range).toEqual([0, 1.05]);
    const [first, second, third] = [layout.xaxis, layout.xaxis2, layout.xaxis3].map((axis) => axis!.domain!);
    expect(first![1]).toBeLessThan(second![0]!);
    expect(second![1]).toBeLessThan(third![0]!);
  });

  it('gives each configuration one bar a metric and one entry in the legend', () => {
    const { data, layout } = validationMetrics([run, sampleRun({ name: 'concat' })], LIGHT);
    expect(data).toHaveLength(6);
    expect(data.filter(({ showlegend }) => showlegend).map(({ name }) => name)).toEqual(['qwen3_4b_default', 'concat']);
    expect(layout.showlegend).toBe(true);
  });
});

describe('the charts of the report', () => {
  it('show all five metrics by epoch and where the best one is', () => {
    const { data, layout } = metricsByEpoch(run, LIGHT);
    expect(data.map(({ name }) => name)).toEqual(['AUC', 'F1', 'accuracy', 'precision', 'recall']);
    expect(data[1]!.y).toEqual(run.perEpoch.map(({ f1 }) => f1));
    expect(layout.shapes).toMatchObject([{ x0: 16, x1: 16 }]);
  });

  it('show right and wrong steps apart, to the right end of the last bin', () => {
    const [wrong, right] = scoreDistribution(validation, LIGHT).data;
    expect([wrong!.name, right!.name]).toEqual(['wrong traces', 'right traces']);
    expect(right!.y).toHaveLength((right!.x as number[]).length);
    expect((right!.x as number[]).at(-1)).toBe(1);
  });

  it('compare ROC and reliability with the diagonal', () => {
    for (const figure of [rocFigure(validation, LIGHT), stepReliability(validation, LIGHT)]) {
      expect(figure.data[0]).toMatchObject({ x: [0, 1], y: [0, 1] });
      expect(figure.layout.xaxis?.range).toEqual([0, 1]);
    }
  });

  it('differ between the themes in colours alone', () => {
    const withoutColors = (value: unknown) => JSON.stringify(value).replace(/#[0-9a-f]{6,8}/g, '#');
    expect(withoutColors(lossCurves([run], DARK))).toBe(withoutColors(lossCurves([run], LIGHT)));
    expect(lossCurves([run], DARK)).not.toEqual(lossCurves([run], LIGHT));
  });
});

describe('plainText', () => {
  it('shows what plotly would take for markup', () => {
    expect(plainText('<b>a</b> & &lt;')).toBe('&lt;b&gt;a&lt;/b&gt; &amp; &amp;lt;');
  });

  it('shortens a long name in its middle, by characters', () => {
    const shortened = [...plainText(`${'𝒜'.repeat(30)}-${'z'.repeat(30)}`)];
    expect(shortened).toHaveLength(32);
    expect(shortened.join('')).toBe(`${'𝒜'.repeat(16)}…${'z'.repeat(15)}`);
  });

  it('has no control characters and no half characters', () => {
    expect(plainText('a\n\u0000b\ud800c')).toBe('a  b c');
  });
});

describe('withTitle', () => {
  it('escapes the subtitle, which holds a name', () => {
    const { layout } = withTitle(lossCurves([run], LIGHT), { title: 'Training loss', subtitle: '<i>x</i>' }, LIGHT);
    expect(layout.title?.text).toContain('&lt;i&gt;x&lt;/i&gt;');
  });
});
