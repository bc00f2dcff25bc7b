import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { ADMINISTRATORS, SYSTEM, serviceSid } from './service/windows-sid.ts';

/**
 * Files that only their owner may read: whoever has them is this node. On Windows a file's mode says nothing; there its access list must
 * name the owner, the system and the administrators, and nobody else.
 */
const WINDOWS_LIMIT_MS = 10_000;
/** SYSTEM, Administrators, the owner's rights, the creator, in SDDL's short names; and our own service, whoever looks. */
const TRUSTED = ['SY', 'BA', 'OW', 'CO', SYSTEM, ADMINISTRATORS, serviceSid('LAIAgent')];

/** Written beside and renamed over, so that a crash leaves the old file or the new one, never half of one. */
export const writePrivateFile = (path: string, text: string): void => {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const draft = `${path}.${randomUUID()}`;
  writeFileSync(draft, text, { mode: 0o600, flush: true });
  try {
    if (process.platform === 'win32') closeOnWindows(draft);
    else chmodSync(draft, 0o600);
    renameSync(draft, path);
  } catch (error) {
    rmSync(draft, { force: true });
    throw error;
  }
};

/** What is wrong with who may read the file, and how to mend it; null when nothing is. */
export const accessProblem = (path: string): string | null => {
  if (process.platform === 'win32') {
    const others = strangersIn(readSddl(path), windowsSid());
    return others.length === 0
      ? null
      : `${path} holds this node's private key and is open to ${others.join(', ')}. Run: icacls "${path}" /inheritance:r /grant:r "%USERNAME%:F" "*S-1-5-18:F" "*S-1-5-32-544:F"`;
  }
  const { mode, uid } = statSync(path);
  if ((mode & 0o077) !== 0) return `${path} holds this node's private key and is readable by others. Run: chmod 600 '${path}'`;
  const me = process.getuid?.();
  return me !== undefined && me !== 0 && uid !== me ? `${path} belongs to another user. Run: chown ${me} '${path}'` : null;
};

/** Inherited entries gone, three entries in their place. Group names differ by language, so they are named by number. */
const closeOnWindows = (path: string): void => {
  const grants = [`*${windowsSid()}:F`, '*S-1-5-18:F', '*S-1-5-32-544:F'];
  execFileSync('icacls', [path, '/inheritance:r', '/grant:r', ...grants], { stdio: 'pipe', timeout: WINDOWS_LIMIT_MS });
};

const windowsSid = (): string => {
  const line = execFileSync('whoami', ['/user', '/fo', 'csv', '/nh'], { encoding: 'utf8', timeout: WINDOWS_LIMIT_MS });
  const sid = /S-1-[0-9-]+/.exec(line)?.[0];
  if (!sid) throw new Error(`Windows does not say who ${userInfo().username} is.`);
  return sid;
};

/** icacls writes the list as SDDL, in UTF-16, into a file: the one form that is the same in every language. */
const readSddl = (path: string): string => {
  const out = join(tmpdir(), `lai-acl-${randomUUID()}`);
  try {
    execFileSync('icacls', [basename(path), '/save', out], { cwd: dirname(path), stdio: 'pipe', timeout: WINDOWS_LIMIT_MS });
    return readFileSync(out, 'utf16le');
  } finally {
    rmSync(out, { force: true });
  }
};

/** Pure. Who besides `owner` and the machine's own administration an access list lets in; without a list, everybody. */
export const strangersIn = (sddl: string, owner: string): string[] => {
  const list = /D:[A-Z]*((?:\([^)]*\))*)/.exec(sddl)?.[1];
  if (list === undefined) return ['everybody'];
  const trusted = new Set([...TRUSTED, owner]);
  const allowed = [...list.matchAll(/\(([^)]*)\)/g)].flatMap(([, entry = '']) => {
    const [kind, , , , , who = ''] = entry.split(';');
    return kind === 'A' || kind === 'XA' || kind === 'OA' ? [who] : [];
  });
  return [...new Set(allowed.filter((who) => !trusted.has(who)))];
};
