import { runCli } from '@scorer/core/cli';
import { convert } from './commands/convert.js';
import { grade } from './commands/grade.js';
import { preprocess } from './commands/preprocess.js';

await runCli({
  name: 'scorer-preprocess',
  describe: 'Chat prompt, tokens, steps and grade for raw reasoning traces',
  packageUrl: import.meta.url,
  commands: [preprocess, convert, grade],
});
