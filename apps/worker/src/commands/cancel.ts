import { type Command, parseOptions } from '@scorer/core/cli';
import { z } from 'zod';
import { cancelRun } from '../queue/control.js';
import { findRun } from '../queue/registry.js';
import { redisOptions, redisSchema, runOption, runSchema, withRedis } from './common.js';

const optionsSchema = z.object({ ...redisSchema, ...runSchema });

export const cancelCommand: Command = {
  name: 'cancel',
  describe: 'Take a run out of Redis; its workers stop, and what they made stays',
  options: { ...runOption, ...redisOptions },
  async run(args) {
    const options = parseOptions(optionsSchema, args);
    return withRedis(options, async (redis) => {
      const { id } = await findRun(redis, options.run);
      await cancelRun(redis, id);
      return { json: { run: id }, text: `run ${id} is cancelled; submitted again, it goes on with what is missing` };
    });
  },
};
