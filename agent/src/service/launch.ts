/**
 * The launcher: starts the version that is current, and takes a new one back that does not prove itself. Bundled by itself into
 * `lai-launch.js` in the program folder, outside of the versions, from Node's own modules alone. It runs the version in this very
 * process, so it costs no second one; on Windows it hands over when the version wants another Node than the one that started us.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { becomeSmall } from '../heap-flags.ts';
import { layoutOf } from './layout.ts';
import type { Scope } from './service.ts';
import { EXIT_OTHER_VERSION, endTrial, judgeStart, readTrial, writeRolledBack, writeTrial } from './trial.ts';
import { currentVersion, installedVersions, nodePath, programAt, runtimeOf, switchTo, versionDir } from './versions.ts';

const program = programAt(import.meta.dirname);

/** In a thread of its own, because a version that hangs cannot be asked. No handler of the version's can keep it alive. */
const killAfter = (remainingMs: number, version: string): void => {
  const code = `
    const { workerData } = require('node:worker_threads');
    const { readFileSync } = require('node:fs');
    setTimeout(() => {
      let trial = null;
      try { trial = JSON.parse(readFileSync(workerData.path, 'utf8')); } catch {}
      if (trial?.version === workerData.version) process.kill(process.pid, 'SIGKILL');
    }, workerData.remainingMs);`;
  const path = join(program.dir, 'trial.json');
  new Worker(code, {
    eval: true,
    workerData: { path, version, remainingMs },
    resourceLimits: { maxOldGenerationSizeMb: 16 },
  }).unref();
};

/** True: another version is current now. */
const isTakenBack = (current: string, hasItsNode: boolean): boolean => {
  const step = judgeStart(readTrial(program.dir), { current, hasItsNode, nowMs: Date.now() });
  // Nothing to go back to: whatever this version is, it is what there is.
  if (step.kind === 'none' || !installedVersions(program).includes(step.trial.previous)) return false;
  if (step.kind === 'run') {
    writeTrial(program.dir, step.trial);
    killAfter(step.remainingMs, current);
    return false;
  }
  console.error(`lai-agent: version ${current} is taken back, ${step.why}; ${step.trial.previous} starts again`);
  switchTo(program, step.trial.previous);
  writeRolledBack(program.dir, { version: current, why: step.why, atMs: Date.now() });
  endTrial(program.dir);
  return true;
};

/** The settings of the installation that we belong to; what is in the environment already wins. */
const loadSettings = (): void => {
  for (const scope of ['system', 'user'] satisfies Scope[]) {
    const layout = layoutOf({ platform: process.platform, scope, home: homedir(), environment: process.env });
    if (layout.programDir !== program.dir) continue;
    try {
      process.loadEnvFile(layout.settingsPath);
    } catch (error) {
      // They are the service's; who only asks how it is needs none.
      if (!['ENOENT', 'EACCES'].includes((error as NodeJS.ErrnoException).code ?? ''))
        console.error(`lai-agent: ${layout.settingsPath} cannot be read: ${(error as Error).message}`);
    }
    process.env['LAI_AGENT_DATA_DIR'] ||= layout.dataDir;
  }
};

const version = currentVersion(program);
if (version === null) {
  console.error(`lai-agent: nothing is installed in ${program.dir}. Run the line of \`lai join-command\` again.`);
  process.exit(1);
}
loadSettings();
process.env['LAI_PROGRAM_DIR'] = program.dir;
const runtime = runtimeOf(program, version);
const hasItsNode = runtime === null || runtime === process.versions.node;
if (process.platform === 'win32' && !hasItsNode && existsSync(nodePath(program, runtime))) {
  // Ctrl-C, with which the service is stopped, reaches both of us; who ends first must be the version, or the service counts as stopped
  // while it still lets go of its engines. Listening is enough: Windows asks a thread of Node's own, not this one, which waits.
  for (const signal of ['SIGINT', 'SIGBREAK'] as const) process.on(signal, () => {});
  const { status } = spawnSync(
    nodePath(program, runtime),
    [...process.execArgv, import.meta.filename, ...process.argv.slice(2)],
    {
      stdio: 'inherit',
    },
  );
  process.exit(status ?? 1);
}
if (process.argv[2] === 'run') {
  // Before the trial begins: the version would do it too, and the thread that watches would be gone.
  if (process.execArgv.length === 0) becomeSmall([import.meta.filename, ...process.argv.slice(2)]);
  if (isTakenBack(version, hasItsNode)) process.exit(EXIT_OTHER_VERSION);
}
const bundle = join(versionDir(program, version), 'lai-agent.js');
process.argv[1] = bundle;
await import(pathToFileURL(bundle).href);
