import { win32 } from 'node:path';
import { type Installation, mustRun, type RunCommand } from './service.ts';
import { programDirOf } from './windows-command.ts';
import { ADMINISTRATORS, INTERACTIVE, SYSTEM, serviceSid } from './windows-sid.ts';

/**
 * Who may do what with the files: settings, identity and state are the service's, the system's and the administrators', and nobody else
 * may look. One folder in it is open to who sits at the screen: the door of the desktop's reporter. The program is everybody's to run,
 * and the service's to update.
 */
const MODIFY = '0x1301bf';
const TRUSTED = ['SY', 'BA', 'CO', 'OW', SYSTEM, ADMINISTRATORS];

export const desktopDirOf = ({ dataDir }: Installation): string => win32.join(dataDir, 'desktop');

/**
 * Pure. One line `path|SDDL` each for the two folders and everything below ours; SDDL is the same in every language. What has gone before it
 * could be looked at (the agent may be running) is no fault.
 */
export const lookCommand = (installation: Installation): string => {
  const { configDir, programDir } = placesOf(installation);
  return [
    "$ErrorActionPreference = 'SilentlyContinue'",
    `$paths = @('${escaped(programDir)}', '${escaped(configDir)}')`,
    `$paths += @(Get-ChildItem -LiteralPath '${escaped(configDir)}' -Recurse -Force | ForEach-Object { $_.FullName })`,
    `foreach ($path in $paths) { "$path|$((Get-Acl -LiteralPath $path).Sddl)" }`,
    'exit 0',
  ].join('; ');
};

/** Pure. What is wrong, in words; empty when nothing is. */
export const accessProblems = (text: string, installation: Installation): string[] => {
  const sid = serviceSid(installation.name);
  const { configDir, programDir } = placesOf(installation);
  const lists = new Map(
    text.split(/\r?\n/).flatMap((line) => {
      const [path, sddl] = line.split('|');
      return path && sddl ? [[path.toLowerCase(), sddl] as const] : [];
    }),
  );
  const own = [...lists].filter(([path]) => path !== programDir.toLowerCase());
  const strangers = own.flatMap(([path, sddl]) => {
    const isDesktop = path.startsWith(desktopDirOf(installation).toLowerCase());
    const trusted = [...TRUSTED, sid, ...(isDesktop ? ['IU', INTERACTIVE] : [])];
    return allowedIn(sddl).flatMap(({ who }) => (trusted.includes(who) ? [] : [`${path} is open to ${who}`]));
  });
  const closed = [programDir, configDir].filter(
    (path) => !allowedIn(lists.get(path.toLowerCase()) ?? '').some(({ who, rights }) => who === sid && rights === MODIFY),
  );
  const desktop = allowedIn(lists.get(desktopDirOf(installation).toLowerCase()) ?? '');
  return [
    ...strangers,
    ...closed.map((path) => `${path} is closed to the service`),
    ...(desktop.some(({ who }) => who === 'IU' || who === INTERACTIVE) ? [] : ['the desktop’s folder is closed to the desktop']),
  ];
};

/** True: something had to be changed. Fails when it is still wrong afterwards, because then the node's key is open. */
export const giveAccess = async (installation: Installation, run: RunCommand): Promise<boolean> => {
  const look = async () =>
    accessProblems(await mustRun(run, 'powershell.exe', [...POWERSHELL, lookCommand(installation)]), installation);
  if ((await look()).length === 0) return false;
  const service = `*${serviceSid(installation.name)}:(OI)(CI)M`;
  const { configDir, programDir } = placesOf(installation);
  const icacls = (...args: string[]) => mustRun(run, 'icacls.exe', [...args, '/Q']);
  await icacls(configDir, '/inheritance:r', '/grant:r', `*${SYSTEM}:(OI)(CI)F`, `*${ADMINISTRATORS}:(OI)(CI)F`, service);
  // What an administrator wrote here, by `join` for one, is the administrator's alone until it takes after its folder.
  await icacls(win32.join(configDir, '*'), '/reset', '/T');
  await icacls(desktopDirOf(installation), '/grant', `*${INTERACTIVE}:(OI)(CI)R`);
  await icacls(programDir, '/grant', service);
  const [problem] = await look();
  if (problem !== undefined) throw new Error(`The files could not be closed: ${problem}.`);
  return true;
};

export const POWERSHELL = ['-NoProfile', '-NonInteractive', '-Command'] as const;

/** Pure. For a word between single quotes. */
export const escaped = (word: string): string => word.replaceAll("'", "''");

const placesOf = (installation: Installation) => ({
  programDir: programDirOf(installation),
  configDir: win32.dirname(installation.dataDir),
});

/** Pure. `(A;OICI;FA;;;SY)`: kind, inheritance, rights, two of objects, who. */
const allowedIn = (sddl: string): { who: string; rights: string }[] => {
  const list = /D:[A-Z]*((?:\([^)]*\))*)/.exec(sddl)?.[1];
  // No list at all lets everybody do everything.
  if (list === undefined) return [{ who: 'everybody', rights: 'FA' }];
  return [...list.matchAll(/\(([^)]*)\)/g)].flatMap(([, entry = '']) => {
    const [kind, , rights = '', , , who = ''] = entry.split(';');
    return kind === 'A' || kind === 'XA' || kind === 'OA' ? [{ who, rights }] : [];
  });
};
