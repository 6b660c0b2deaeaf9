import { runCli } from '@scorer/core/cli';
import { evaluateCommand } from './commands/evaluate.js';
import { exportCommand } from './commands/export.js';
import { reportCommand } from './commands/report.js';
import { scoreCommand } from './commands/score.js';
import { simulateCommand } from './commands/simulate.js';
import { sweepCommand } from './commands/sweep.js';
import { trainCommand } from './commands/train.js';

await runCli({
  name: 'scorer-train',
  describe: 'Train and use step scorers: small networks that predict from hidden states whether a trace ends right.',
  packageUrl: import.meta.url,
  commands: [trainCommand, sweepCommand, scoreCommand, evaluateCommand, simulateCommand, reportCommand, exportCommand],
});
