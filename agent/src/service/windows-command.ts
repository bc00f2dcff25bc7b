import { win32 } from 'node:path';
import type { Installation } from './service.ts';

/** Longer than the agent takes to let go of its engines; see the limits in supervisor/. */
const STOP_LIMIT_MS = 30_000;

export const programDirOf = ({ command }: Installation): string => win32.dirname(command[0]);

/**
 * Pure. What the service runs: shawl, which speaks with Windows, and after `--` the agent, which does not. Shawl itself starts nothing
 * again: it passes the exit code on, and Windows' own recovery starts it after a pause, which also helps when shawl crashes.
 */
export const serviceCommand = (installation: Installation): string => {
  const { name, command, dataDir, logPath, environment } = installation;
  const logs = logPath === null ? ['--no-log'] : ['--log-dir', win32.dirname(logPath)];
  return [
    win32.join(programDirOf(installation), 'shawl.exe'),
    'run',
    ...['--name', name],
    '--no-restart',
    ...['--stop-timeout', String(STOP_LIMIT_MS)],
    ...['--cwd', dataDir],
    ...logs,
    ...Object.entries(environment).flatMap(([key, value]) => ['--env', `${key}=${value}`]),
    '--',
    ...command,
  ]
    .map(quoted)
    .join(' ');
};

/** Pure. As CommandLineToArgv reads it: backslashes count only before a quote. */
export const quoted = (word: string): string =>
  /^[^\s"]+$/.test(word) ? word : `"${word.replace(/(\\*)"/g, '$1$1\\"').replace(/\\+$/, '$&$&')}"`;
