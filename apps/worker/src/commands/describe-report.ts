import type { RunReport } from '../queue/report.js';

/** A run's state for people. */
export function describeReport(report: RunReport): string {
  const { shards, tokens, workers } = report;
  const percent = tokens.total === 0 ? 100 : (100 * tokens.done) / tokens.total;
  const alive = workers.filter((worker) => worker.alive).length;
  const lines = [
    `run ${report.run}: ${report.state}, ${percent.toFixed(1)} % of ${tokens.total} tokens`,
    `  shards   ${shards.done} of ${shards.total} done, ${shards.active} active, ${shards.waiting} waiting, ${shards.delayed} put off, ${shards.failed} failed`,
    `  workers  ${alive} alive, ${report.tokens_per_second} tokens/s${timeLeft(report.seconds_left)}`,
  ];
  if (report.stalled > 0) lines.push(`  stalled  ${report.stalled} shards, whose workers are silent`);
  if (report.repeats > 0) lines.push(`  repeats  ${report.repeats} attempts beyond the first`);
  if (report.failed_traces > 0) lines.push(`  traces   ${report.failed_traces} failed: see the .failures.json files`);
  for (const { lines: range, reason } of report.failed_shards) lines.push(`  lines ${range} failed: ${reason}`);
  for (const { name, state, reason } of workers) if (reason) lines.push(`  worker ${name} ${state}: ${reason}`);
  return lines.join('\n');
}

function timeLeft(seconds: number | null): string {
  if (seconds === null || seconds === 0) return '';
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor((seconds % 3600) / 60)];
  if (hours > 0) return `, ${hours} h ${minutes} min left`;
  return minutes > 0 ? `, ${minutes} min left` : `, ${seconds} s left`;
}
