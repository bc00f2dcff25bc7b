import { readFile } from 'node:fs/promises';
import type { JoinSystem } from '@lai/shared/release-api';

export type InstallerName = 'install.sh' | 'install.ps1';

/** Beside our own bundle when bundled, where it is written when run from source. */
const placeOf = (name: InstallerName): URL =>
  new URL(import.meta.url.endsWith('.ts') ? `../../../deploy/agent/${name}` : `./${name}`, import.meta.url);

/**
 * The installer as this coordinator gives it out: it knows where it came from, and whose signature counts. Both values are of harmless
 * characters only (`BaseUrl`, base64), so they need no quoting in either shell.
 */
export const installer = async (name: InstallerName, { url, releaseKey }: { url: string; releaseKey: string }): Promise<string> =>
  (await readFile(placeOf(name), 'utf8')).replaceAll('@LAI_URL@', url).replaceAll('@LAI_RELEASE_KEY@', releaseKey);

export interface JoinLine {
  readonly os: JoinSystem;
  readonly url: string;
  /** Null: a dry run, which needs none. */
  readonly token: string | null;
  readonly isForUser: boolean;
  readonly isDryRun: boolean;
}

/**
 * Pure. What is pasted on the machine. The token travels as a variable, because a command line can be read by everybody on the machine;
 * what stays of it in the shell's history is worth nothing after its first use.
 */
export const joinLine = ({ os, url, token, isForUser, isDryRun }: JoinLine): string => {
  if (os === 'windows') {
    const flags = [...(isForUser ? ['-User'] : []), ...(isDryRun ? ['-DryRun'] : [])];
    const script = `irm '${url}/install.ps1'`;
    // A script that is piped takes no arguments; one that was read first does.
    const run = flags.length === 0 ? `${script} | iex` : `& ([scriptblock]::Create((${script}))) ${flags.join(' ')}`;
    return token === null ? run : `$env:LAI_TOKEN='${token}'; ${run}`;
  }
  const flags = [...(isForUser ? ['--user'] : []), ...(isDryRun ? ['--dry-run'] : [])];
  const shell = flags.length === 0 ? 'sh' : `sh -s -- ${flags.join(' ')}`;
  const fetch = `curl -fsSL ${url.startsWith('https:') ? "--proto '=https' " : ''}'${url}/install.sh'`;
  const asRoot = isForUser || isDryRun ? '' : token === null ? 'sudo ' : 'sudo --preserve-env=LAI_TOKEN ';
  return `${fetch} | ${token === null ? '' : `LAI_TOKEN='${token}' `}${asRoot}${shell}`;
};
