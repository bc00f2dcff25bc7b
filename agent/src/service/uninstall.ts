import { existsSync, lstatSync, readlinkSync, rmdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Layout } from './layout.ts';
import type { RunCommand, ServiceManager } from './service.ts';

export interface Removal {
  readonly layout: Layout;
  readonly manager: ServiceManager | null;
  /** Settings, identity, models and account too, as if nothing had ever been here. */
  readonly isPurge: boolean;
  readonly run: RunCommand;
}

/** Pure apart from a look at the command link. What would go, for `--dry-run` and for doing it. */
export const pathsToRemove = (layout: Layout, isPurge: boolean): string[] => [
  ...(isOurs(layout) ? [layout.commandPath] : []),
  layout.programDir,
  ...(isPurge ? [layout.dataDir, layout.configDir, ...(layout.logDir === null ? [] : [layout.logDir])] : []),
];

/** Takes everything away, the service first. What is not there is no fault, so it can be repeated after a failure. */
export const uninstall = async ({ layout, manager, isPurge, run }: Removal): Promise<string[]> => {
  await manager?.uninstall();
  const paths = pathsToRemove(layout, isPurge).filter((path) => existsSync(path) || isLink(path));
  for (const path of paths) rmSync(path, { recursive: true, force: true });
  if (!isPurge) return paths;
  removeIfEmpty(dirname(layout.dataDir), layout);
  // Only the account that the installer made: a system one without a login, called as the layout says.
  if (layout.account !== null && (await run('getent', ['passwd', layout.account])).code === 0)
    await run('userdel', [layout.account]);
  return paths;
};

/** Somebody else's program may be called the same. */
const isOurs = ({ commandPath, programDir }: Layout): boolean => {
  if (commandPath.startsWith(programDir)) return false;
  return isLink(commandPath) && readlinkSync(commandPath) === join(programDir, 'lai-agent');
};

const isLink = (path: string): boolean => {
  try {
    return lstatSync(path).isSymbolicLink();
  } catch {
    return false;
  }
};

/** In a home everything of ours lies in one folder, which goes with its last content. */
const removeIfEmpty = (dir: string, { scope }: Layout): void => {
  if (scope !== 'user') return;
  try {
    rmdirSync(dir);
  } catch {
    // There is something else in it.
  }
};
