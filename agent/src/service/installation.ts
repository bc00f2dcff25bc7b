import { posix, win32 } from 'node:path';
import { HEAP_FLAGS } from '../heap-flags.ts';
import type { Layout } from './layout.ts';
import type { Installation } from './service.ts';

/** Pure. What is registered for a layout. `account` is whoever it runs as where the layout leaves that open (macOS). */
export const installationOf = (platform: NodeJS.Platform, layout: Layout, account: string | null = null): Installation => {
  const isWindows = platform === 'win32';
  const { join } = isWindows ? win32 : posix;
  return {
    scope: layout.scope,
    name: layout.serviceName,
    registrationPath: layout.registrationPath,
    // Windows: a copy of Node beside the launcher, which hands over to the runtime that the current version wants; and the flags, because
    // no process there can become another one.
    command: isWindows
      ? [join(layout.programDir, 'node.exe'), ...HEAP_FLAGS, layout.launcherPath, 'run']
      : [join(layout.programDir, 'lai-agent'), 'run'],
    account: layout.account ?? account,
    // Everything else is in the settings file, which the launcher reads.
    environment: layout.scope === 'system' && platform === 'linux' ? { HOME: layout.dataDir } : {},
    dataDir: layout.dataDir,
    logPath: layout.logDir === null ? null : join(layout.logDir, 'agent.log'),
  };
};
