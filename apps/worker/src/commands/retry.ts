import { type Command, parseOptions } from '@scorer/core/cli';
import { z } from 'zod';
import { retryRun } from '../queue/control.js';
import {
  namedRun,
  redisOptions,
  redisSchema,
  rootOptions,
  rootSchema,
  runOption,
  runSchema,
  withRedis,
} from './common.js';

const optionsSchema = z.object({ ...redisSchema, ...rootSchema, ...runSchema });

export const retryCommand: Command = {
  name: 'retry',
  describe: 'Put the shards that were given up into the queue again, and those whose files have gone',
  options: { ...runOption, ...rootOptions, ...redisOptions },
  async run(args) {
    const options = parseOptions(optionsSchema, args);
    return withRedis(options, async (redis) => {
      const run = await namedRun(redis, options);
      const shards = await retryRun(redis, run);
      return { json: { run: run.id, shards }, text: `run ${run.id}: ${shards} shards are tried again` };
    });
  },
};
