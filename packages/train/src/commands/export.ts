import { type Command, parseOptions } from '@scorer/core/cli';
import { z } from 'zod';
import { exportScorer } from '../export/export-scorer.js';
import { overwriteFlag } from '../overwrite.js';

const optionsSchema = z.object({
  scorer: z.string().min(1),
  format: z.enum(['safetensors', 'onnx', 'pt']),
  outputFile: z.string().min(1),
  rowType: z.enum(['float32', 'float16']),
  overwrite: overwriteFlag,
});

export const exportCommand: Command = {
  name: 'export',
  describe: 'Write a scorer for PyTorch, vLLM or any ONNX Runtime',
  options: {
    scorer: { type: 'string', demandOption: true, describe: 'Checkpoint folder, or a .safetensors or .pt file' },
    format: {
      choices: ['safetensors', 'onnx', 'pt'],
      demandOption: true,
      describe: "safetensors: the tensors; onnx: rows to probabilities; pt: the original's checkpoint",
    },
    'output-file': { type: 'string', demandOption: true, describe: 'The file to write' },
    'row-type': {
      choices: ['float32', 'float16'],
      default: 'float32',
      describe: 'Type of the rows that an .onnx takes',
    },
    overwrite: { type: 'boolean', default: false, describe: 'Replace another file of this name' },
  },
  examples: [['$0 export --scorer checkpoints/NAME --format pt --output-file scorer.pt', "for the original's vLLM"]],
  async run(args) {
    const result = await exportScorer(parseOptions(optionsSchema, args));
    const note = result.status === 'kept' ? ', made earlier' : '';
    return { json: result, text: `${result.path} (${result.bytes} bytes${note})` };
  },
};
