/**
 * `npm start`, `npm test` and `npm run test:long` in a fresh clone with Node and npm alone: checks Node, installs with
 * the pinned pnpm where that is due, builds, then runs. Kept to what Node 6 understands, so that any old Node reaches
 * the first check.
 */
const { spawnSync } = require('child_process');
const { existsSync, readFileSync, writeFileSync } = require('fs');
const { delimiter, join } = require('path');

const root = join(__dirname, '..');
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

const TASKS = {
  demo() {
    run('turbo', 'run', 'build', '--output-logs=errors-only');
    run(process.execPath, join('apps', 'demo', 'dist', 'demo.js'));
  },
  test() {
    run('biome', 'check', '.');
    run('turbo', 'run', 'build', '--output-logs=errors-only');
    run('knip');
    run('turbo', 'run', 'check', 'test', '--output-logs=new-only');
    run('vitest', 'run', '--project', 'repository');
    console.log(
      'not run here: the second tier (installs, other Nodes, the demo, browser, Redis, kills): npm run test:long',
    );
  },
  'test:long'() {
    run('turbo', 'run', 'build', '--output-logs=errors-only');
    run('vitest', 'run', '--config', 'vitest.long.config.ts');
  },
};

checkNode();
installIfDue();
TASKS[process.argv[2]]();

function checkNode() {
  const wanted = manifest.engines.node.replace('>=', '');
  const [major, minor] = process.versions.node.split('.').map(Number);
  const [wantedMajor, wantedMinor] = wanted.split('.').map(Number);
  if (major > wantedMajor || (major === wantedMajor && minor >= wantedMinor)) return;
  const have = process.versions.node;
  console.error(
    `error[NODE_TOO_OLD]: Node ${wanted} or newer is needed, this is ${have}, install a newer one and run again`,
  );
  process.exit(1);
}

/** pnpm is a dependency too, since turbo asks for it. A copy of the lockfile beside what it installed tells whether that is still right. */
function installIfDue() {
  const lockfile = readFileSync(join(root, 'pnpm-lock.yaml'), 'utf8');
  const installed = join(root, 'node_modules', '.installed-lockfile');
  if (existsSync(installed) && readFileSync(installed, 'utf8') === lockfile) return;
  console.log(`installing dependencies with ${manifest.packageManager} …`);
  run('npx', '--yes', manifest.packageManager, 'install', '--frozen-lockfile');
  writeFileSync(installed, lockfile);
}

function run(command, ...args) {
  const path = join(root, 'node_modules', '.bin') + delimiter + process.env.PATH;
  const env = Object.assign({}, process.env, { PATH: path, TURBO_TELEMETRY_DISABLED: '1' });
  const { status, error } = spawnSync(command, args, {
    cwd: root,
    stdio: 'inherit',
    env,
    shell: process.platform === 'win32',
  });
  if (error) console.error(String(error));
  if (status !== 0) process.exit(status || 1);
}
