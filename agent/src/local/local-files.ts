import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** What a program on this machine needs to talk to the agent: where it listens, and the secret. */
export interface LocalAddress {
  readonly port: number;
  readonly token: string;
}

const tokenPath = (dataDir: string): string => join(dataDir, 'local.token');
const portPath = (dataDir: string): string => join(dataDir, 'local.port');

/** The same token over restarts, so that the owner's scripts go on working. Made anew when it is missing, too short or readable by others. */
export const keepToken = (dataDir: string): string => {
  const known = readToken(dataDir);
  if (known !== null) return known;
  const token = randomBytes(24).toString('base64url');
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const draft = `${tokenPath(dataDir)}.${process.pid}`;
  writeFileSync(draft, `${token}\n`, { mode: 0o600 });
  renameSync(draft, tokenPath(dataDir));
  return token;
};

export const writePort = (dataDir: string, port: number): void => writeFileSync(portPath(dataDir), `${port}\n`, { mode: 0o600 });

export const removePort = (dataDir: string): void => rmSync(portPath(dataDir), { force: true });

/** Null when no agent of this data folder listens, as far as its files say. */
export const readLocalAddress = (dataDir: string): LocalAddress | null => {
  const token = readToken(dataDir);
  const port = Number(textOf(portPath(dataDir)));
  return token !== null && Number.isInteger(port) && port > 0 ? { port, token } : null;
};

/**
 * A second door key, for one message alone: what the desktop of a session shows. Its folder is made by the installation where services
 * cannot see desktops, and is open to whoever is logged in. Another key at each start; null where there is no such folder.
 */
export const writeDesktopKey = (dataDir: string, port: number): string | null => {
  const dir = join(dataDir, 'desktop');
  if (!existsSync(dir)) return null;
  const token = randomBytes(24).toString('base64url');
  writeFileSync(join(dir, 'door.json'), `${JSON.stringify({ port, token })}\n`);
  return token;
};

export const removeDesktopKey = (dataDir: string): void => rmSync(join(dataDir, 'desktop', 'door.json'), { force: true });

const readToken = (dataDir: string): string | null => {
  const text = textOf(tokenPath(dataDir));
  if (text.length < 20) return null;
  if (process.platform !== 'win32' && (statSync(tokenPath(dataDir)).mode & 0o077) !== 0) return null;
  return text;
};

const textOf = (path: string): string => {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return '';
  }
};
