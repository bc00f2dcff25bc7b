import { lchownSync, lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { mustRun, type RunCommand } from './service.ts';

/** Who may open GPUs on Linux; which of them a machine has depends on its drivers. */
const GPU_GROUPS = ['render', 'video'];

/** Linux: an account of its own for the service, without a login, in the groups that may open GPUs. True: something was missing. */
export const ensureAccount = async (account: string, home: string, run: RunCommand): Promise<boolean> => {
  const isNew = (await run('getent', ['passwd', account])).code !== 0;
  if (isNew) {
    const place = ['--home-dir', home, '--no-create-home', '--shell', '/usr/sbin/nologin'];
    await mustRun(run, 'useradd', ['--system', '--user-group', ...place, account]);
  }
  const member = (await mustRun(run, 'id', ['-nG', account])).trim().split(/\s+/);
  const missing: string[] = [];
  for (const group of GPU_GROUPS)
    if (!member.includes(group) && (await run('getent', ['group', group])).code === 0) missing.push(group);
  if (missing.length > 0) await mustRun(run, 'usermod', ['--append', '--groups', missing.join(','), account]);
  return isNew || missing.length > 0;
};

/** Everything below the folders becomes the account's. True: something was not. */
export const giveTo = async (account: string, dirs: readonly string[], run: RunCommand): Promise<boolean> => {
  const idOf = async (flag: '-u' | '-g') => Number((await mustRun(run, 'id', [flag, account])).trim());
  const [uid, gid] = [await idOf('-u'), await idOf('-g')];
  const paths = dirs.flatMap((dir) => strangers(dir, uid));
  for (const path of paths) lchownSync(path, uid, gid);
  return paths.length > 0;
};

/** What belongs to somebody else. Links are not followed: what they point at need not be ours. */
const strangers = (path: string, uid: number): string[] => {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (!found) return [];
  const below = found.isDirectory() ? readdirSync(path).flatMap((name) => strangers(join(path, name), uid)) : [];
  return found.uid === uid ? below : [path, ...below];
};
