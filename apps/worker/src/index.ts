export { cancelRun, retryRun } from './queue/control.js';
export { connectRedis, type RedisOptions } from './queue/redis.js';
export { type RunReport, reportRun } from './queue/report.js';
export { type Manifest, type ManifestShard, openRun, type Run, readRun } from './run/manifest.js';
export { openRoots, type Roots } from './run/roots.js';
export { type SubmitOptions, type SubmitSummary, submit } from './run/submit.js';
export { type VerifyReport, verifyRun } from './run/verify.js';
export type { ServedRun } from './serve/serve-run.js';
export { type WorkOptions, work } from './serve/work.js';
