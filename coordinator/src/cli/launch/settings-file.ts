import { createHash } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { LaunchTarget, SettingsFile } from './clients.ts';

const digest = (text: string): string => createHash('sha256').update(text).digest('hex');

/** What was there before, beside the file: its text, or that there was none; and what we wrote, to notice later changes. */
interface Before {
  readonly text: string | null;
  readonly mode: number;
  readonly written: string;
}

const backupOf = (path: string): string => `${path}.before-lai`;

const readOr = (path: string): string | null => (existsSync(path) ? readFileSync(path, 'utf8') : null);

const readBackup = (path: string): Before | null => {
  const text = readOr(backupOf(path));
  return text === null ? null : (JSON.parse(text) as Before);
};

/** Writes our settings into the person's file and keeps what was there. Again: from what was there at first. Returns the file's path. */
export const writeSettings = (home: string, { path: name, change }: SettingsFile, target: LaunchTarget): string => {
  const path = join(home, name);
  const kept = readBackup(path);
  if (kept && digest(readOr(path) ?? '') !== kept.written)
    throw new Error(`${path} was changed after Lai wrote it. Keep what you need of it, then run this with --restore first.`);
  const before = kept ? kept.text : readOr(path);
  const mode = kept?.mode ?? (before === null ? 0o600 : statSync(path).mode & 0o777);
  let text: string;
  try {
    text = change(before, target);
  } catch (error) {
    throw new Error(`${path} was left as it is. ${error instanceof Error ? error.message : String(error)}`);
  }
  mkdirSync(dirname(path), { recursive: true });
  put(backupOf(path), JSON.stringify({ text: before, mode, written: digest(text) } satisfies Before));
  // It holds a key now.
  put(path, text);
  return path;
};

/** What was there before, byte for byte. False: nothing of ours is there. */
export const restoreSettings = (
  home: string,
  { path: name }: SettingsFile,
): { path: string; kind: 'restored' | 'removed' | 'nothing' } => {
  const path = join(home, name);
  const kept = readBackup(path);
  if (!kept) return { path, kind: 'nothing' };
  const now = readOr(path);
  // What somebody added since is theirs: it is kept beside, never thrown away.
  if (now !== null && digest(now) !== kept.written) renameSync(path, `${path}.with-lai`);
  if (kept.text === null) rmSync(path, { force: true });
  else {
    put(path, kept.text);
    chmodSync(path, kept.mode);
  }
  rmSync(backupOf(path));
  return { path, kind: kept.text === null ? 'removed' : 'restored' };
};

const put = (path: string, text: string): void => {
  const draft = `${path}.${process.pid}`;
  writeFileSync(draft, text, { mode: 0o600, flush: true });
  renameSync(draft, path);
};
