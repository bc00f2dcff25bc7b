import { existsSync, lstatSync, readlinkSync, rmdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Layout } from './layout.ts';
import { mustRun, type RunCommand, type ServiceManager } from './service.ts';

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
  ...(isPurge
    ? [layout.dataDir, layout.settingsPath, ...(layout.logDir === null ? [] : [layout.logDir]), ...ownChanges(layout)]
    : []),
];

/** Takes everything away, the service first. What is not there is no fault, so it can be repeated after a failure. */
export const uninstall = async ({ layout, manager, isPurge, run }: Removal): Promise<string[]> => {
  await manager?.uninstall();
  const paths = pathsToRemove(layout, isPurge).filter((path) => existsSync(path) || isLink(path));
  for (const path of paths) rmSync(path, { recursive: true, force: true });
  if (!isPurge) return paths;
  // A coordinator on the same machine keeps its settings in the same folder.
  for (const dir of [layout.configDir, dirname(layout.dataDir)]) if (!isOfTheSystem(dir)) removeIfEmpty(dir);
  const { account } = layout;
  if (account === null) return paths;
  if ((await run('getent', ['passwd', account])).code === 0) await mustRun(run, 'userdel', [account]);
  // Goes with its only member, unless this system is set up otherwise.
  if ((await run('getent', ['group', account])).code === 0) await mustRun(run, 'groupdel', [account]);
  return [...paths, `the account ${account}`];
};

/** What `systemctl edit` made. */
const ownChanges = ({ registrationPath }: Layout): string[] =>
  registrationPath?.endsWith('.service') ? [`${registrationPath}.d`] : [];

const isOfTheSystem = (dir: string): boolean => ['/var/lib', '/Library/Application Support'].includes(dir);

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

const removeIfEmpty = (dir: string): void => {
  try {
    rmdirSync(dir);
  } catch {
    // There is something else in it.
  }
};
