import { runCli } from '@scorer/core/cli';
import { auditCommand } from './commands/audit.js';
import { doctorCommand } from './commands/doctor.js';
import { exportCommand } from './commands/export.js';
import { extractCommand } from './commands/extract.js';
import { importCommand } from './commands/import.js';
import { inspectCommand } from './commands/inspect.js';

await runCli({
  name: 'scorer-hidden-states',
  describe: 'Hidden states of a decoder LLM at the end of every reasoning step, into safetensors shards.',
  packageUrl: import.meta.url,
  commands: [extractCommand, importCommand, auditCommand, inspectCommand, exportCommand, doctorCommand],
});
