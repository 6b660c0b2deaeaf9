import { runCli } from '@scorer/core/cli';
import { cancelCommand } from './commands/cancel.js';
import { retryCommand } from './commands/retry.js';
import { statusCommand } from './commands/status.js';
import { submitCommand } from './commands/submit.js';
import { verifyCommand } from './commands/verify.js';
import { workCommand } from './commands/work.js';

await runCli({
  name: 'scorer-worker',
  describe: 'Extraction of hidden states spread over machines by a queue on Redis or Valkey.',
  packageUrl: import.meta.url,
  commands: [submitCommand, workCommand, statusCommand, retryCommand, cancelCommand, verifyCommand],
});
