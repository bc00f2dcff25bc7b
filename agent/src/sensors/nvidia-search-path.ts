import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { nvidiaFolders } from './nvidia-folders.ts';

type Surroundings = { platform: NodeJS.Platform; environment: Readonly<Record<string, string | undefined>> };

/** Where Windows' driver shows itself inside WSL; a systemd unit's PATH does not name it. */
const WSL_FOLDER = '/usr/lib/wsl/lib';

/** PATH with the folders in front where Windows keeps nvidia-smi: a service's own PATH often lacks all of them. */
export async function nvidiaSearchPath({ platform, environment }: Surroundings): Promise<string> {
  const own = environment['PATH'] ?? environment['Path'] ?? '';
  if (platform === 'linux') return `${own}:${WSL_FOLDER}`;
  if (platform !== 'win32') return own;
  const systemRoot = environment['SystemRoot'] ?? 'C:\\Windows';
  const store = path.win32.join(systemRoot, 'System32', 'DriverStore', 'FileRepository');
  const folders = nvidiaFolders({
    systemRoot,
    programFiles: environment['ProgramFiles'] ?? 'C:\\Program Files',
    driverStore: await foldersOf(store),
  });
  return [...folders, own].filter((folder) => folder !== '').join(';');
}

async function foldersOf(folder: string): Promise<{ path: string; changedMs: number }[]> {
  const names = await readdir(folder).catch(() => [] as string[]);
  const nvidia = names.filter((name) => name.toLowerCase().startsWith('nv'));
  return Promise.all(
    nvidia.map(async (name) => {
      const full = path.win32.join(folder, name);
      return {
        path: full,
        changedMs: await stat(full).then(
          (s) => s.mtimeMs,
          () => 0,
        ),
      };
    }),
  );
}
