import { launchd } from './launchd.ts';
import type { Installation, RunCommand, ServiceManager } from './service.ts';
import { systemd } from './systemd.ts';
import { windows } from './windows.ts';

/** The one place where a system's service manager is chosen. `null`: none is known here, and the agent is started by hand. */
export const serviceManagerOf = (
  platform: NodeJS.Platform,
  installation: Installation,
  run: RunCommand,
): ServiceManager | null => {
  switch (platform) {
    case 'linux':
      return systemd(installation, run);
    case 'darwin':
      return launchd(installation, run);
    case 'win32':
      return windows(installation, run);
    default:
      return null;
  }
};
