import { hostname } from 'node:os';
import { type Command, parseOptions } from '@scorer/core/cli';
import { deviceWishSchema } from '@scorer/core/onnx';
import { layerGroupsOption, layerGroupsSchema } from '@scorer/hidden-states';
import { z } from 'zod';
import { runFile } from '../queue/registry.js';
import { reportRun } from '../queue/report.js';
import { openRun } from '../run/manifest.js';
import { MIXABLE } from '../serve/profile.js';
import type { ServedRun } from '../serve/serve-run.js';
import { work } from '../serve/work.js';
import { redisOptions, redisSchema, rootOptions, rootSchema, rootsOf, runSchema, withRedis } from './common.js';
import { describeReport } from './describe-report.js';

const optionsSchema = z.object({
  ...redisSchema,
  ...rootSchema,
  ...runSchema,
  stay: z.boolean(),
  name: z.string().min(1).optional(),
  modelName: z.string().min(1).optional(),
  device: deviceWishSchema.optional(),
  gpu: z.string().optional(),
  threads: z.number().int().positive().optional(),
  layerGroups: layerGroupsSchema,
  allowMixed: z
    .string()
    .optional()
    .transform((text) =>
      text === undefined ? [] : text === '' ? [...MIXABLE] : text.split(',').map((part) => part.trim()),
    )
    .pipe(z.array(z.enum(MIXABLE))),
  lease: z.number().positive(),
  drain: z.number().nonnegative(),
  maxShardFailures: z
    .string()
    .regex(/^\d+(\.\d+)?%$/, 'give a percentage, as 10%')
    .transform((text) => Number(text.slice(0, -1)) / 100),
});

export const workCommand: Command = {
  name: 'work',
  describe: 'Take shards from the queue and make them; one process for each GPU',
  options: {
    run: { type: 'string', describe: 'Serve this run alone; default: all, in the order of submission' },
    stay: { type: 'boolean', default: false, describe: 'Wait for the next run when nothing is left to do' },
    name: { type: 'string', describe: 'Name in status; default: the host and the process' },
    'model-name': { type: 'string', describe: "This machine's copy of the model; default: the folder submitted" },
    device: { type: 'string', describe: 'auto, cpu, cuda, or cuda:1 for the second card; default: as submitted' },
    gpu: { type: 'string', describe: 'Number of the GPU to use, as nvidia-smi lists them' },
    threads: { type: 'number', describe: 'CPU threads; default: the physical cores' },
    'layer-groups': layerGroupsOption,
    'allow-mixed': {
      type: 'string',
      describe: `In what this worker may differ from the run's first: ${MIXABLE.join(',')}; bare: in all of them`,
    },
    lease: { type: 'number', default: 60, describe: 'Seconds of silence after which a shard goes to another worker' },
    drain: { type: 'number', default: 20, describe: 'Seconds to finish the shard in hand when stopped' },
    'max-shard-failures': { type: 'string', default: '10%', describe: "Of a shard's traces, failed ones allowed" },
    ...rootOptions,
    ...redisOptions,
  },
  examples: [
    ['$0 work --root /shared --gpu 0', 'until nothing is left to do'],
    ['$0 work --root /shared --stay', 'as a service'],
  ],
  async run(args, { signal, log, onProgress }) {
    const options = parseOptions(optionsSchema, args);
    // Read by the CUDA libraries when they are loaded.
    if (options.gpu !== undefined) process.env.CUDA_VISIBLE_DEVICES = options.gpu;
    const roots = await rootsOf(options);
    return withRedis(options, async (redis) => {
      const served = await work(redis, {
        roots,
        run: options.run,
        stay: options.stay,
        name: options.name ?? `${hostname()}:${process.pid}`,
        model: options.modelName,
        device: options.device,
        threads: options.threads,
        layerGroups: options.layerGroups,
        allowMixed: options.allowMixed,
        leaseSeconds: options.lease,
        drainSeconds: options.drain,
        maxShardFailures: options.maxShardFailures,
        signal,
        onProgress,
        onInfo: log.info,
        onWarning: log.warn,
      });
      const reports = [];
      for (const { run } of served) {
        const file = await runFile(redis, run);
        if (file !== undefined) reports.push(await reportRun(redis, await openRun({ id: run, file }, roots)));
      }
      const text = served.length === 0 ? 'nothing was left to do' : served.map(describe).join('\n');
      return { json: { served, runs: reports }, text: [text, ...reports.map(describeReport)].join('\n\n') };
    });
  },
};

function describe({ run, ended, written, kept, failed, leases_lost }: ServedRun): string {
  const parts = [`${written} shards written`, `${kept} found finished`, `${failed} failed`];
  if (leases_lost > 0) parts.push(`${leases_lost} leases lost`);
  return `run ${run} ${ended}; by this worker: ${parts.join(', ')}`;
}
