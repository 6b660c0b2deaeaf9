import { runCli } from '@scorer/core/cli';
import { trainCommand } from './commands/train.js';

await runCli({
  name: 'scorer-train',
  describe: 'Train and use step scorers: small networks that predict from hidden states whether a trace ends right.',
  packageUrl: import.meta.url,
  commands: [trainCommand],
});
