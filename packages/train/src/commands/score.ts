import { type Command, parseOptions } from '@scorer/core/cli';
import { counted } from '../figure-text.js';
import { overwriteFlag } from '../overwrite.js';
import { CONFIDENCE_DEFAULTS } from '../scores/confidence.js';
import { type ScoreResult, scoreOptionsSchema, scoreTraces } from '../scores/score-traces.js';

const commandSchema = scoreOptionsSchema.extend({ overwrite: overwriteFlag });

export const scoreCommand: Command = {
  name: 'score',
  describe: 'Score every step and trace of a folder of shards',
  options: {
    scorer: { type: 'string', demandOption: true, describe: 'Checkpoint folder, or a bare .safetensors file' },
    'input-dir': { type: 'string', demandOption: true, describe: 'Folder of shards (*.safetensors)' },
    'output-file': { type: 'string', demandOption: true, describe: 'JSONL, one scored trace a line' },
    regions: {
      choices: ['reasoning', 'all'],
      describe: 'Steps of the reasoning, or also those in the prompt; default: as the scorer was trained',
    },
    aggregate: {
      type: 'string',
      default: 'mean',
      describe: 'How step scores become one: mean, last, min, product, exp_mean[:decay], last_k[:k]',
    },
    'confidence-window': {
      type: 'number',
      default: CONFIDENCE_DEFAULTS.window,
      describe: 'Where shards have token confidences: tokens of a group (DeepConf)',
    },
    'confidence-tail': {
      type: 'number',
      default: CONFIDENCE_DEFAULTS.tail,
      describe: 'Where shards have token confidences: last tokens that are the tail',
    },
    only: {
      type: 'string',
      describe: 'validation: the traces that validated the scorer; or those of another split.json, by its path',
    },
    rejects: {
      type: 'string',
      array: true,
      describe: 'Rejects files of preprocessing: their traces count as wrong, without a score',
    },
    device: { type: 'string', default: 'auto', describe: 'auto, cpu, cuda, or cuda:1 for the second card' },
    threads: { type: 'number', describe: 'CPU threads; default: the physical cores' },
    overwrite: { type: 'boolean', default: false, describe: 'Make an output anew that stands already' },
  },
  examples: [
    [
      '$0 score --scorer checkpoints/NAME --input-dir hs/ --output-file scores.jsonl --only validation',
      'traces that the scorer was not trained on',
    ],
    [
      '$0 score --scorer checkpoints/NAME --input-dir hs/ --output-file scores.jsonl --rejects pre/raw.rejects.jsonl',
      'all traces, those without an answer too',
    ],
  ],
  async run(args, { signal, log, onProgress }) {
    const options = parseOptions(commandSchema, args);
    const result = await scoreTraces({ ...options, signal, onProgress, onWarning: log.warn });
    return { json: toJson(result), text: describe(result) };
  },
};

function toJson(result: ScoreResult): object {
  return {
    output_file: result.outputFile,
    traces: result.traces,
    right: result.right,
    steps: result.steps,
    traces_without_steps: result.tracesWithoutSteps,
    rejected: result.rejected,
    rejects_without_question: result.rejectsWithoutQuestion,
    aggregate: result.aggregate,
    regions: result.regions,
    repeated: result.repeated,
  };
}

function describe(result: ScoreResult): string {
  const { traces, right, steps, tracesWithoutSteps, rejected, rejectsWithoutQuestion } = result;
  const lines = [
    `${counted(steps, 'step')} of ${counted(traces, 'trace')} scored, ${right} of them right; a trace's score is the ${result.aggregate} of its steps`,
    `output  ${result.outputFile}`,
  ];
  if (tracesWithoutSteps > 0)
    lines.push(`${counted(tracesWithoutSteps, 'trace')} without a step, and so without a score`);
  if (rejected > 0) lines.push(`added as wrong, without score: ${counted(rejected, 'refused trace')}`);
  if (rejectsWithoutQuestion > 0)
    lines.push(`left out, as they name no question: ${counted(rejectsWithoutQuestion, 'refused line')}`);
  if (result.repeated) lines.push('this output had been made before; --overwrite makes it anew');
  return lines.join('\n');
}
