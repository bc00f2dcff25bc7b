import type { Installation } from './service.ts';

/** Whom the daemon of the machine runs as. */
export interface MacAccount {
  readonly name: string;
  readonly uid: number;
  readonly home: string;
}

/** Where Homebrew and installers put engines; launchd itself knows only the system's own folders. */
const PATH = '/opt/homebrew/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin';

/**
 * Pure. The property list. launchd expands nothing in it (no `~`, no `$HOME`), so everything is written out. What it says, and why:
 * - `ProcessType` Interactive: any other kind of job gets its CPU and disk throttled, and its engines with it.
 * - `KeepAlive` whatever the exit code, like on the other systems; `ThrottleInterval` is the least time between two starts.
 * - No `AbandonProcessGroup`: what the agent leaves behind when it dies (engines, caffeinate) ends with it.
 * - Standard output is the agent's log, which it keeps itself; only what comes before and beside it goes to a file.
 * - `Umask` is a number in decimal: 63 is 077.
 */
export const plistText = (installation: Installation, account: MacAccount | null): string => {
  const { name, command, environment, dataDir, logPath } = installation;
  const home = account === null ? {} : { HOME: account.home };
  return xmlOf({
    Label: name,
    ...(account === null ? {} : { UserName: account.name }),
    ProgramArguments: command,
    EnvironmentVariables: { PATH, ...home, ...environment },
    WorkingDirectory: dataDir,
    RunAtLoad: true,
    KeepAlive: true,
    ThrottleInterval: 5,
    ExitTimeOut: 30,
    ProcessType: 'Interactive',
    Umask: 0o077,
    StandardOutPath: '/dev/null',
    StandardErrorPath: logPath ?? '/dev/null',
  });
};

/** Pure. A line for newsyslog, macOS' own log rotation: what crashes for days must not fill the disk. N: there is nobody to signal. */
export const rotationText = (logPath: string, account: MacAccount): string =>
  `# path owner:group mode count KiB when flags\n${logPath} ${account.name}: 600 3 5120 * JN\n`;

type PlistValue = string | number | boolean | readonly string[] | Readonly<Record<string, string>>;

const xmlOf = (values: Readonly<Record<string, PlistValue>>): string =>
  [
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">',
    '<!-- Written by `lai-agent service install`; changes are lost. -->',
    '<plist version="1.0">',
    ...dictLines(values, ''),
    '</plist>',
    '',
  ].join('\n');

const dictLines = (values: Readonly<Record<string, PlistValue>>, indent: string): string[] => [
  `${indent}<dict>`,
  ...Object.entries(values).flatMap(([key, value]) => [
    `${indent}  <key>${escaped(key)}</key>`,
    ...valueLines(value, `${indent}  `),
  ]),
  `${indent}</dict>`,
];

const valueLines = (value: PlistValue, indent: string): string[] => {
  if (typeof value === 'boolean') return [`${indent}<${value}/>`];
  if (typeof value === 'number') return [`${indent}<integer>${value}</integer>`];
  if (typeof value === 'string') return [`${indent}<string>${escaped(value)}</string>`];
  if (isList(value))
    return [`${indent}<array>`, ...value.flatMap((item) => valueLines(item, `${indent}  `)), `${indent}</array>`];
  return dictLines(value, indent);
};

const isList = (value: PlistValue): value is readonly string[] => Array.isArray(value);

const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
