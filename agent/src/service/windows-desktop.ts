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

/** Pure. The template's place is filled in here and not by Windows, whose environment variables would be the user's. */
export const registerCommand = (installation: Installation): string => {
  const dir = escaped(programDirOf(installation));
  return [
    "$ErrorActionPreference = 'Stop'",
    `$xml = (Get-Content -Raw -LiteralPath '${dir}\\lai-desktop.xml').Replace('@PROGRAM_DIR@', '${dir}')`,
    `Register-ScheduledTask -TaskName ${TASK} -Xml $xml -Force | Out-Null`,
  ].join('; ');
};

/** True: it was not there, or started something else. */
export const installReporter = async (installation: Installation, run: RunCommand): Promise<boolean> => {
  const { code, stdout } = await run('schtasks.exe', ['/Query', '/TN', TASK, '/XML']);
  if (code === 0 && stdout.includes(win32.join(programDirOf(installation), 'lai-desktop.ps1'))) return false;
  await mustRun(run, 'powershell.exe', [...POWERSHELL, registerCommand(installation)]);
  return true;
};

export const removeReporter = async (run: RunCommand): Promise<void> => {
  if ((await run('schtasks.exe', ['/Query', '/TN', TASK])).code !== 0) return;
  await run('schtasks.exe', ['/End', '/TN', TASK]);
  await mustRun(run, 'schtasks.exe', ['/Delete', '/TN', TASK, '/F']);
};
