import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { execa } from 'execa';
import type { Logger } from 'pino';
import { z } from 'zod';
import { type ProcessEntry, processTree, readProcessTable } from './process-table.ts';

/** Written when an engine of ours starts, deleted when it is gone; one that is found at start is a trace of our own crash. */
export const PidRecord = z.object({
  engine: z.string(),
  pid: z.number().int().positive(),
  startedAt: z.string(),
  command: z.string(),
});
export type PidRecord = z.infer<typeof PidRecord>;

const GRACE_MS = 3_000;

/**
 * What is left of an engine that we started in an earlier life. Pure. Nobody else's process is ever in the list:
 * - the process itself only when number and start time are the recorded ones: a recycled number belongs to a stranger;
 * - what it started, when it still lives;
 * - its group, when it is dead and its number was not given away: a number stays taken while its group has members, so a group without
 *   a leader is still the old one. With a living stranger as leader the group is the stranger's.
 */
export const orphansOf = (record: PidRecord, table: readonly ProcessEntry[]): readonly number[] => {
  const leader = table.find((entry) => entry.pid === record.pid);
  if (leader) return leader.startedAt === record.startedAt ? [...processTree(table, record.pid)] : [];
  return table.filter((entry) => entry.groupId === record.pid).map((entry) => entry.pid);
};

/** The pid files of one agent. Single writer of the folder. */
export class PidFiles {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async write(engine: string, pid: number): Promise<void> {
    const entry = (await readProcessTable()).find((candidate) => candidate.pid === pid);
    if (!entry) return;
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    const record: PidRecord = { engine, pid, startedAt: entry.startedAt, command: entry.command.slice(0, 500) };
    const draft = `${this.#path(engine)}.draft`;
    writeFileSync(draft, `${JSON.stringify(record)}\n`, { mode: 0o600 });
    renameSync(draft, this.#path(engine));
  }

  remove(engine: string): void {
    rmSync(this.#path(engine), { force: true });
  }

  read(): PidRecord[] {
    let names: string[];
    try {
      names = readdirSync(this.#folder).filter((name) => name.endsWith('.pid.json'));
    } catch {
      return [];
    }
    return names.flatMap((name) => {
      try {
        return [PidRecord.parse(JSON.parse(readFileSync(join(this.#folder, name), 'utf8')))];
      } catch {
        return [];
      }
    });
  }

  /** Ends what an earlier life of this agent left behind, SIGTERM first. Settles when it is gone. */
  async sweep(log: Logger): Promise<void> {
    const records = this.read();
    if (records.length === 0) return;
    const left = async () => {
      const table = await readProcessTable();
      return records.flatMap((record) => orphansOf(record, table));
    };
    let orphans = await left();
    if (orphans.length > 0) log.warn({ pids: orphans }, 'an engine of an earlier run is still there; ending it');
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      for (const pid of orphans) await endProcess(pid, signal);
      const deadlineMs = performance.now() + GRACE_MS;
      while (orphans.length > 0 && performance.now() < deadlineMs) {
        await pause(50);
        orphans = await left();
      }
    }
    if (orphans.length > 0) log.error({ pids: orphans }, 'processes of an earlier run cannot be ended');
    else for (const record of records) this.remove(record.engine);
  }

  #path(engine: string): string {
    return join(this.#folder, `${engine}.pid.json`);
  }
}

const endProcess = async (pid: number, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> => {
  if (process.platform === 'win32') {
    await execa('taskkill', ['/PID', String(pid), '/T', '/F'], { reject: false, timeout: GRACE_MS, windowsHide: true });
    return;
  }
  try {
    process.kill(pid, signal);
  } catch {
    // Gone in between.
  }
};
