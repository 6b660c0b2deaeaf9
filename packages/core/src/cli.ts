import { stat } from 'node:fs/promises';
import { z } from 'zod';
import { describeFailure } from './cli/exit.js';
import { type Command, parseOptions, runCli } from './cli/index.js';
import { ScorerError } from './errors/index.js';
import { onFile } from './files/index.js';
import { describeStat, describeSummary, describeVerified } from './shards/describe.js';
import { listShards, mergeShards, splitShard, statShards, type Verified, verifySafetensors } from './shards/index.js';

const paths = z.array(z.string().min(1)).min(1, 'name at least one file or folder');

const verify: Command = {
  name: 'verify',
  describe:
    'Check safetensors files by the rules of the format, and shards by their own: checksum, offsets, finite values',
  positionals: [{ name: 'path', describe: 'Files, or folders of *.safetensors', array: true }],
  options: {},
  async run(args, { signal, onProgress }) {
    const { path } = parseOptions(z.object({ path: paths }), args);
    const verified: Verified[] = [];
    let failure: unknown;
    for (const file of await filesOf(path)) {
      try {
        verified.push(await verifySafetensors(file, { signal, onProgress }));
      } catch (error) {
        if (!(error instanceof ScorerError && error.kind === 'input')) throw error;
        // Each bad file has its line; the last is thrown, and with it the exit code.
        if (failure) process.stderr.write(`${describeFailure(failure).line}\n`);
        failure = error;
      }
    }
    if (failure) throw failure;
    return { json: { files: verified }, text: verified.map(describeVerified).join('\n') };
  },
};

const statCommand: Command = {
  name: 'stat',
  describe: 'Show what shards hold: tensors, counts, labels, layers, model',
  positionals: [{ name: 'path', describe: 'A shard, another safetensors file, or a folder of shards' }],
  options: {},
  async run(args) {
    const { path } = parseOptions(z.object({ path: z.string().min(1) }), args);
    const result = await statShards(path);
    return { json: result, text: describeStat(result) };
  },
};

const overwrite = z.boolean().transform((replace) => (replace ? 'replace' : 'refuse'));
const OVERWRITE = { type: 'boolean', default: false, describe: 'Replace outputs that exist' } as const;

const merge: Command = {
  name: 'merge',
  describe: 'Make one shard of several of the same model and layers',
  positionals: [{ name: 'path', describe: 'Shards, or folders of them', array: true }],
  options: {
    'output-file': { type: 'string', demandOption: true, describe: 'The shard to make' },
    overwrite: OVERWRITE,
  },
  async run(args, { signal, onProgress }) {
    const schema = z.object({ path: paths, outputFile: z.string().min(1), overwrite });
    const { path, outputFile, overwrite: mode } = parseOptions(schema, args);
    const summary = await mergeShards(await filesOf(path), outputFile, { overwrite: mode, signal, onProgress });
    return { json: summary, text: describeSummary(summary) };
  },
};

const split: Command = {
  name: 'split',
  describe: 'Cut a shard into several, each named by its lines of the step-record file',
  positionals: [{ name: 'path', describe: 'A shard' }],
  options: {
    'output-path': { type: 'string', demandOption: true, describe: 'Folder and first part of the names' },
    'shard-size': { type: 'number', demandOption: true, describe: 'Lines a shard' },
    overwrite: OVERWRITE,
  },
  async run(args, { signal, onProgress }) {
    const size = z.number().int('must be a whole number').positive('must be positive');
    const schema = z.object({ path: z.string().min(1), outputPath: z.string().min(1), shardSize: size, overwrite });
    const { path, outputPath, shardSize, overwrite: mode } = parseOptions(schema, args);
    const shards = await splitShard(path, outputPath, shardSize, { overwrite: mode, signal, onProgress });
    return { json: { shards }, text: shards.map(describeSummary).join('\n') };
  },
};

/** The files that are named, and those in the folders that are. */
async function filesOf(paths: readonly string[]): Promise<string[]> {
  const files: string[] = [];
  for (const path of paths) {
    const isFolder = (await onFile(path, () => stat(path))).isDirectory();
    const found = isFolder ? await listShards(path) : [path];
    if (found.length === 0) {
      throw new ScorerError({ code: 'NO_SHARDS', what: 'no *.safetensors in the folder', where: path });
    }
    files.push(...found);
  }
  return files;
}

await runCli({
  name: 'scorer-shards',
  describe: 'Check, describe and rearrange shards of hidden states.',
  packageUrl: import.meta.url,
  commands: [verify, statCommand, merge, split],
});
