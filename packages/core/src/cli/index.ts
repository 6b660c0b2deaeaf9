export { EXIT } from './exit.js';
export { parseOptions } from './options.js';
export type { OnProgress, Progress } from './progress.js';
export {
  type Command,
  type CommandContext,
  type CommandResult,
  type Flag,
  type Log,
  type Program,
  runCli,
} from './run-cli.js';
