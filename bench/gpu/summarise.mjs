// results.json of run.mjs as tables: node summarise.mjs results.json
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  process.stdout.write(summarise(JSON.parse(readFileSync(process.argv[2], 'utf8'))));
}

export function summarise({ device, scale, stages }) {
  const all = stages.flatMap(({ stage, results }) =>
    results.map((result) => ({ stage: stage.split(':')[0], ...result })),
  );
  const of = (stage, has) => all.filter((result) => result.stage === stage && result[has] !== undefined);
  const sections = [
    machine(of('doctor', 'card'), of('doctor', 'torch'), of('doctor', 'bf16_matmul_tflops'), of('doctor', 'doctor')),
    operators(of('operators', 'operator')),
    parity(of('parity', 'layer')),
    copies(of('parity', 'placement')),
    speed(of('speed', 'tokens')),
    training(of('training', 'batch')),
    traces(of('traces', 'pipeline_seconds')),
    profile(of('profile', 'milliseconds')),
    demo(of('demo', 'auc')),
    outcomes(stages),
  ];
  return [`# GPU kit on ${device}, ${scale} size`, ...sections.filter(Boolean)].join('\n\n').concat('\n');
}

function machine([card], [versions], [ceiling], [doctor]) {
  const lines = [
    card?.card && `- card: ${card.card}`,
    versions && `- Python ${versions.python}, PyTorch ${versions.torch}, transformers ${versions.transformers}`,
    ceiling &&
      `- at best: ${ceiling.bf16_matmul_tflops} TFLOP/s in bf16 (8192³), ${ceiling.device_copy_gb_s} GB/s on the card, ${ceiling.pageable_host_to_device_gb_s} GB/s to it`,
    doctor && `- doctor: ${JSON.stringify(doctor.doctor.devices)}`,
  ];
  return section('Machine', lines.filter(Boolean).join('\n'));
}

function operators(rows) {
  const shown = rows.map(({ operator, type, provider, copies, relative, error }) => [
    operator,
    type,
    error ? `fails: ${error}` : provider,
    copies ?? '',
    relative ?? '',
  ]);
  return section(
    'Operators',
    table(['operator', 'type', 'runs on', 'copies', 'relative difference from float32'], shown),
  );
}

function parity(rows) {
  const groups = groupBy(rows);
  const shown = [...groups].map(([name, layers]) => {
    const worst = (key, field) => Math.max(...layers.map((layer) => Number(layer[key][field]))).toExponential(2);
    const further = layers.filter(
      (layer) => !(layer.ours_to_fp32.relative <= layer.transformers_bf16_to_fp32.relative),
    ).length;
    const pair = (key) => `${worst(key, 'one_minus_cosine')} / ${worst(key, 'relative')}`;
    return [
      name,
      layers.length,
      pair('ours_to_fp32'),
      pair('transformers_bf16_to_fp32'),
      pair('ours_to_transformers_bf16'),
      further,
    ];
  });
  const head = [
    'model',
    'layers',
    'ours to fp32',
    'transformers bf16 to fp32',
    'ours to transformers bf16',
    'layers further than transformers',
  ];
  return section('Parity, worst layer: 1 − cosine / relative difference', table(head, shown));
}

function groupBy(rows) {
  const groups = new Map();
  for (const row of rows) {
    const key = `${row.model} ${row.compute}`;
    groups.set(key, [...(groups.get(key) ?? []), row]);
  }
  return groups;
}

function copies(rows) {
  const shown = rows.map(({ model, placement, copies_between_devices }) => {
    const elsewhere = Object.entries(placement)
      .filter(([key]) => key.startsWith('CPU'))
      .map(([key, count]) => `${key.slice(4).trim()} ×${count}`);
    return [model, copies_between_devices, elsewhere.join(', ')];
  });
  return section('Placement of the whole graph', table(['model', 'copies between devices', 'on the CPU'], shown));
}

function speed(rows) {
  const side = (figures) =>
    figures?.seconds ? `${figures.tokens_per_second} (${(100 * figures.share_of_peak).toFixed(1)} %)` : 'failed';
  const shown = rows.map(({ model, tokens, ours, transformers, speed: ratio }) => [
    model,
    tokens,
    side(ours),
    side(transformers),
    ratio ?? '',
    `${ours.mebibytes ?? ''} / ${transformers?.mebibytes ?? ''}`,
  ]);
  return section(
    'Tokens/s (share of the bf16 peak)',
    table(['model', 'tokens', 'ours', 'transformers', 'speed', 'MiB, ours / theirs'], shown),
  );
}

function training(rows) {
  const shown = rows.flatMap(({ batch, width, ours, chosen, pytorch_rows_given, pytorch_rows_resident }) =>
    Object.entries(ours)
      .filter(([, value]) => value !== null)
      .map(([run, value]) => [
        width,
        batch,
        run === chosen ? `${run} (chosen)` : run,
        value,
        pytorch_rows_given ?? '',
        ratio(value, pytorch_rows_given),
        pytorch_rows_resident ?? '',
      ]),
  );
  return section(
    'Training, rows/s',
    table(['D', 'batch', 'ours, by run', 'ours', 'PyTorch, rows given', 'ratio', 'PyTorch, rows on the card'], shown),
  );
}

function traces(rows) {
  return rows
    .map((row) => {
      const { memory, stage, ...figures } = row;
      const facts = table(['figure', 'value'], Object.entries(figures));
      return section(
        `Traces of mixed lengths, ${row.model}`,
        `${facts}\n\n${table(['traces done', 'MiB on the card', 'MiB resident'], memory.map(Object.values))}`,
      );
    })
    .join('\n\n');
}

function profile(rows) {
  return rows
    .map(({ model, tokens, milliseconds }) => {
      const sum = Object.values(milliseconds).reduce((a, b) => a + b, 0);
      const shown = Object.entries(milliseconds)
        .filter(([, value]) => value > sum / 500)
        .map(([key, value]) => [key, value, `${((100 * value) / sum).toFixed(1)} %`]);
      return section(`Where the time goes, ${model}, ${tokens} tokens`, table(['operator', 'ms', 'share'], shown));
    })
    .join('\n\n');
}

function demo(rows) {
  return section(
    'Demo',
    table(
      ['device', 'dtype', 'steps', 'extract s', 'train s', 'AUC'],
      rows.map((row) => [row.device, row.dtype, row.steps, row.extract_seconds, row.train_seconds, row.auc]),
    ),
  );
}

function outcomes(stages) {
  const shown = stages.map(({ stage, outcome, seconds, results, stderr }) => {
    const skipped = results.find(({ skipped: reason }) => reason)?.skipped;
    return [stage, outcome, seconds, skipped ?? stderr?.trim().split('\n').at(-1) ?? ''];
  });
  return section('Stages', table(['stage', 'outcome', 's', 'remark'], shown));
}

function ratio(a, b) {
  return b ? (a / b).toFixed(2) : '';
}

function section(title, body) {
  return body ? `## ${title}\n\n${body}` : '';
}

function table(head, rows) {
  if (rows.length === 0) return '';
  const line = (cells) =>
    `| ${cells.map((cell) => String(cell).replaceAll('|', '\\|').replaceAll('\n', ' ')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}
