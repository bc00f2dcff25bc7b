/**
 * What we say to Windows, heard by something that is nearly one: Wine's service control takes our words, and the wrapper of the release
 * its command line. Wine knows neither accounts of services nor access lists; those only a real PC shows (docs/manual-checks.md).
 */
import { execFile } from 'node:child_process';
import { copyFileSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { installationOf } from '../../agent/src/service/installation.ts';
import { layoutOf } from '../../agent/src/service/layout.ts';
import type { Ran } from '../../agent/src/service/service.ts';
import { serviceCommand } from '../../agent/src/service/windows-command.ts';
import { registeredIn } from '../../agent/src/service/windows-registry.ts';
import { onPath } from '../engines/cache.ts';
import { programFiles } from '../release/program-files.ts';

const wine = process.arch === 'x64' ? onPath('wine') : undefined;
if (wine === undefined) console.warn('windows-service: skipped, because there is no wine (Debian’s package wine64)');

const LIMIT_MS = 120_000;
const installation = installationOf(
  'win32',
  layoutOf({ platform: 'win32', scope: 'system', home: 'C:\\Users\\ada', environment: {} }),
);
const { name } = installation;

describe.skipIf(wine === undefined)('the service, under Wine', () => {
  const home = mkdtempSync(join(tmpdir(), 'lai-wine-'));
  const drive = join(home, 'prefix/drive_c');
  const run = (...words: string[]): Promise<Ran> =>
    new Promise((resolve) => {
      const env = { ...process.env, HOME: home, WINEPREFIX: join(home, 'prefix'), WINEDEBUG: '-all', DISPLAY: '' };
      execFile(wine ?? '', words, { env, timeout: LIMIT_MS }, (error, stdout, stderr) =>
        resolve({ code: typeof error?.code === 'number' ? error.code : error ? -1 : 0, stdout, stderr }),
      );
    });
  const until = async (isSo: () => Promise<boolean>) => {
    const deadline = performance.now() + LIMIT_MS / 2;
    while (!(await isSo())) {
      if (performance.now() > deadline) throw new Error('it never was so');
      await pause(100);
    }
  };

  /** Why this Wine or this network will not do. */
  let unfit: string | null = null;

  beforeAll(async () => {
    try {
      await run('wineboot', '--init');
      const programDir = join(drive, 'Program Files/LAI');
      mkdirSync(programDir, { recursive: true });
      mkdirSync(join(drive, 'ProgramData/LAI/state'), { recursive: true });
      for (const file of await programFiles('win32-x64')) copyFileSync(file.path, join(programDir, file.name));
      // Node wants more than Wine has; what takes our words in its place ends at once.
      copyFileSync(join(drive, 'windows/system32/hostname.exe'), join(programDir, 'node.exe'));
    } catch (error) {
      unfit = error instanceof Error ? error.message : String(error);
      console.warn(`windows-service: skipped, because ${unfit}`);
    }
  }, LIMIT_MS);
  beforeEach(({ skip }) => skip(unfit !== null, unfit ?? ''));

  afterAll(async () => {
    await run('wineboot', '--kill');
    rmSync(home, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }, LIMIT_MS);

  it(
    'is created with our words, and kept as we wrote it',
    async () => {
      const command = serviceCommand(installation);
      // Wine has no account for each service.
      const words = ['binPath=', command, 'start=', 'auto', 'obj=', 'LocalSystem', 'DisplayName=', 'Lai agent'];
      expect(await run('sc.exe', 'create', name, ...words)).toMatchObject({ code: 0 });
      expect(await run('sc.exe', 'description', name, 'Puts the GPU of this machine into a Lai fleet.')).toMatchObject({
        code: 0,
      });
      const recovery = ['failure', name, 'reset=', '86400', 'actions=', 'restart/5000/restart/15000/restart/60000'];
      expect(await run('sc.exe', ...recovery)).toMatchObject({ code: 0 });
      const { stdout } = await run('reg.exe', 'query', `HKLM\\SYSTEM\\CurrentControlSet\\Services\\${name}`);
      expect(registeredIn(stdout)).toMatchObject({
        command,
        account: 'LocalSystem',
        startsBySelf: true,
        description: 'Puts the GPU of this machine into a Lai fleet.',
      });
    },
    LIMIT_MS,
  );

  it(
    'is understood by the wrapper word by word, which starts what it should and passes its end on',
    async () => {
      await run('sc.exe', 'start', name);
      const said = () => {
        const [log] = globSync(join(drive, 'ProgramData/LAI/logs/*.log'));
        return log === undefined ? '' : readFileSync(log, 'utf8');
      };
      // Not for the service to be stopped: Wine starts it again, as it was told to, sooner than it can be asked.
      await until(async () => said().includes('Exited main service loop'));
      const text = said();
      const heard = /command: (\[.*?\]) }, cwd: Some\("(.*?)"\), name: "(.*?)"/.exec(text);
      expect(JSON.parse(heard?.[1] ?? '[]')).toEqual(installation.command);
      expect(heard?.slice(2)).toEqual([JSON.stringify(installation.dataDir).slice(1, -1), name]);
      expect(text).toContain('stop_timeout: Some(30000)');
      expect(text).toContain('no_restart: true');
      expect(text).toMatch(/Command exited with code \d+|Command finished/);
    },
    LIMIT_MS,
  );

  it(
    'is gone when it is deleted',
    async () => {
      expect(await run('sc.exe', 'delete', name)).toMatchObject({ code: 0 });
      await until(async () => (await run('reg.exe', 'query', `HKLM\\SYSTEM\\CurrentControlSet\\Services\\${name}`)).code !== 0);
    },
    LIMIT_MS,
  );
});
