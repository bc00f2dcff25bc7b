import { win32 } from 'node:path';
import { type Installation, mustRun, type RunCommand } from './service.ts';
import { escaped, POWERSHELL } from './windows-access.ts';
import { programDirOf } from './windows-command.ts';

/**
 * The desktop's reporter: a task at log-on. Windows keeps services off the desktop, so a small script in the session of whoever is logged
 * in tells the agent's local door what only it can see (a program in full screen, the user's Steam). Gaming mode works without it, by
 * the load on the GPU. Whoever does not want it disables the task; that stays over installs.
 */
const TASK = 'LAIAgentDesktop';

/** True: it was not there, or started something else. */
export const installReporter = async (installation: Installation, run: RunCommand): Promise<boolean> => {
  const file = (name: string) => win32.join(programDirOf(installation), name);
  const { code, stdout } = await run('schtasks.exe', ['/Query', '/TN', TASK, '/XML']);
  if (code === 0 && stdout.includes(file('lai-desktop.ps1'))) return false;
  // The template's place is filled in here and not by Windows: environment variables would be the user's.
  const register = [
    `$xml = (Get-Content -Raw -LiteralPath '${escaped(file('lai-desktop.xml'))}').Replace('@PROGRAM_DIR@', '${escaped(programDirOf(installation))}')`,
    `Register-ScheduledTask -TaskName ${TASK} -Xml $xml -Force | Out-Null`,
  ];
  await mustRun(run, 'powershell.exe', [...POWERSHELL, `$ErrorActionPreference = 'Stop'; ${register.join('; ')}`]);
  return true;
};

export const removeReporter = async (run: RunCommand): Promise<void> => {
  if ((await run('schtasks.exe', ['/Query', '/TN', TASK])).code !== 0) return;
  await run('schtasks.exe', ['/End', '/TN', TASK]);
  await mustRun(run, 'schtasks.exe', ['/Delete', '/TN', TASK, '/F']);
};
