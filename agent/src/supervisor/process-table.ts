import { readdirSync, readFileSync } from 'node:fs';
import { execa } from 'execa';

/** One process of this machine. `startedAt` with `pid` names it for ever: numbers come round again, pairs do not. */
export interface ProcessEntry {
  readonly pid: number;
  readonly parentPid: number;
  /** Null on Windows, which has no groups. */
  readonly groupId: number | null;
  /** Opaque: compare for equality only. */
  readonly startedAt: string;
  readonly command: string;
}

const READ_LIMIT_MS = 10_000;

/** Every process we may see. Empty when the system does not tell: nothing is then taken for ours. */
export const readProcessTable = async (platform: NodeJS.Platform = process.platform): Promise<readonly ProcessEntry[]> => {
  switch (platform) {
    case 'linux':
      return linuxTable('/proc');
    case 'win32':
      return parseCimProcesses(
        await outputOf('powershell.exe', [
          ...['-NoProfile', '-NonInteractive', '-Command'],
          'Get-CimInstance Win32_Process | Select-Object ProcessId,ParentProcessId,CommandLine,' +
            "@{n='Started';e={if($_.CreationDate){$_.CreationDate.ToFileTimeUtc()}}} | ConvertTo-Json -Compress",
        ]),
      );
    default:
      return parsePs(await outputOf('ps', ['-axo', 'pid=,ppid=,pgid=,lstart=,command=']));
  }
};

/** What `pid` started, and what that started; `pid` itself included. */
export const processTree = (table: readonly ProcessEntry[], pid: number): ReadonlySet<number> => {
  const tree = new Set([pid]);
  for (let size = 0; size !== tree.size; ) {
    size = tree.size;
    for (const entry of table) if (tree.has(entry.parentPid) || entry.groupId === pid) tree.add(entry.pid);
  }
  return tree;
};

/** Fields behind the last `)`, because a program may put anything into its own name. See proc_pid_stat(5). */
export const parseLinuxStat = (text: string): Omit<ProcessEntry, 'command'> | null => {
  const pid = Number.parseInt(text, 10);
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const [state, parentPid, groupId] = fields;
  const startedAt = fields[19];
  // A zombie holds nothing any more and cannot be killed.
  if (!pid || state === undefined || state === 'Z' || startedAt === undefined) return null;
  return { pid, parentPid: Number(parentPid), groupId: Number(groupId), startedAt };
};

/** `  712     1   712 Sat Nov 21 10:11:12 2026 /opt/ollama serve`, the C locale of both macOS and the BSDs. */
export const parsePs = (text: string): ProcessEntry[] =>
  text.split('\n').flatMap((line): ProcessEntry[] => {
    const match = /^\s*(\d+)\s+(\d+)\s+(\d+)\s+(\S+\s+\S+\s+\d+\s+[\d:]+\s+\d{4})\s(.*)$/.exec(line);
    if (!match) return [];
    const [, pid, parentPid, groupId, startedAt = '', command = ''] = match;
    return [{ pid: Number(pid), parentPid: Number(parentPid), groupId: Number(groupId), startedAt, command: command.trim() }];
  });

/** PowerShell gives an object for one process and a list for several. */
export const parseCimProcesses = (text: string): ProcessEntry[] => {
  const parsed = parseJson(text);
  const rows: unknown[] = Array.isArray(parsed) ? parsed : [parsed];
  return rows.flatMap((row): ProcessEntry[] => {
    if (typeof row !== 'object' || row === null) return [];
    const { ProcessId, ParentProcessId, CommandLine, Started } = row as Record<string, unknown>;
    if (typeof ProcessId !== 'number' || (typeof Started !== 'number' && typeof Started !== 'string')) return [];
    return [
      {
        pid: ProcessId,
        parentPid: typeof ParentProcessId === 'number' ? ParentProcessId : 0,
        groupId: null,
        startedAt: String(Started),
        command: typeof CommandLine === 'string' ? CommandLine : '',
      },
    ];
  });
};

export const linuxTable = (root: string): ProcessEntry[] =>
  readdirSync(root).flatMap((name): ProcessEntry[] => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const stat = parseLinuxStat(readFileSync(`${root}/${name}/stat`, 'latin1'));
      if (!stat) return [];
      return [{ ...stat, command: readFileSync(`${root}/${name}/cmdline`, 'utf8').replaceAll('\0', ' ').trim() }];
    } catch {
      return []; // gone in between
    }
  });

const outputOf = async (file: string, args: readonly string[]): Promise<string> => {
  const { stdout } = await execa(file, args, {
    reject: false,
    stdin: 'ignore',
    timeout: READ_LIMIT_MS,
    windowsHide: true,
    env: { LC_ALL: 'C' },
  });
  return stdout;
};

const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
};
