import { type Command, parseOptions } from '@scorer/core/cli';
import { ScorerError } from '@scorer/core/errors';
import { z } from 'zod';
import { type AuditSummary, audit } from '../audit/audit.js';
import { parseFailureLimit } from '../run/shard/failures.js';
import { computeOptions, computeOptionsSchema, modelOptions, modelOptionsSchema } from './model-options.js';

const optionsSchema = z.object({
  ...modelOptionsSchema,
  inputDir: z.string().min(1),
  sample: z.string(),
  seed: z.number().int().nonnegative(),
  ...computeOptionsSchema,
});

export const auditCommand: Command = {
  name: 'audit',
  describe: 'Compute some rows of shards again: do they belong to this model, layer and position?',
  options: {
    ...modelOptions,
    'model-name': { ...modelOptions['model-name'], describe: 'Model folder, or hub id (owner/name)' },
    'input-dir': { type: 'string', demandOption: true, describe: 'Folder of shards (*.safetensors)' },
    sample: { type: 'string', default: '1%', describe: 'Traces of each shard, a count or a percentage (8 at least)' },
    seed: { type: 'number', default: 0, describe: 'Of the choice of traces' },
    ...computeOptions,
  },
  examples: [['$0 audit --model models/Qwen3-4B --input-dir hs/ --sample 1%', 'exit code 3 where something is wrong']],
  async run(args, { signal, onProgress }) {
    const options = parseOptions(optionsSchema, args);
    const { modelName: model, sample, ...rest } = options;
    const summary = await audit({ ...rest, model, sample: parseFailureLimit(sample), signal, onProgress });
    return { json: summary, text: describe(summary), failure: failureOf(summary, options.inputDir) };
  },
};

function failureOf({ good, faults }: AuditSummary, where: string): ScorerError | undefined {
  if (good) return undefined;
  const kinds = [...new Set(faults.map(({ kind }) => kind))].join(', ');
  const hint = 'make or import the states again';
  return new ScorerError({ code: 'AUDIT_FAILED', what: `states are not what they should be: ${kinds}`, where, hint });
}

function describe(summary: AuditSummary): string {
  const { faults, traces, all_traces, rows, model, distance, allowed_distance, detectable_share } = summary;
  const share = (100 * detectable_share).toPrecision(2);
  const lines = [
    `${rows} rows of ${traces} of ${all_traces} traces computed again with ${model}`,
    ...Object.entries(distance).map(
      ([layer, d]) =>
        `  layer ${layer}: median distance ${d.toExponential(1)}, up to ${allowed_distance.toExponential(1)} is allowed`,
    ),
    ...faults.map(({ kind, detail, rows: count, traces: touched, example }) => {
      const { shard, trace_index, layer, position } = example;
      const at = `first: trace ${trace_index}, layer ${layer}, token ${position} of ${shard}`;
      return `${kind}: ${detail} (${count} rows of ${touched} traces; ${at})`;
    }),
  ];
  if (faults.length === 0)
    lines.push(`good: a fault in ${share} % of the traces or more would show with 99 % probability`);
  if (!summary.fingerprint_matches) lines.push('the shards name another model by its fingerprint');
  return lines.join('\n');
}
