import { startLinuxForeground } from './foreground-linux.ts';
import { startMacForeground } from './foreground-macos.ts';
import type { ForegroundEnv, ForegroundWatch } from './foreground-watch.ts';
import { startWindowsForeground } from './foreground-windows.ts';

export { type ForegroundEnv, type ForegroundWatch, LOOK_EVERY_MS, type Sighting } from './foreground-watch.ts';

/** Calls `onSightings` after each look that saw something else than the one before. One file per system, the same exports. */
export const startForegroundWatch = (env: ForegroundEnv): ForegroundWatch => {
  switch (env.platform) {
    case 'linux':
      return startLinuxForeground(env);
    case 'win32':
      return startWindowsForeground(env);
    case 'darwin':
      return startMacForeground(env);
    default:
      return { trouble: () => `Games cannot be seen on ${env.platform}; switch gaming mode by hand.`, close: async () => {} };
  }
};
