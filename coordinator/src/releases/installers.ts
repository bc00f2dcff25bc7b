import { readFile } from 'node:fs/promises';
import type { JoinSystem } from '@lai/shared/release-api';

export type InstallerName = 'install.sh' | 'install.ps1';

/** Beside our own bundle when bundled, where it is written when run from source. */
const placeOf = (name: InstallerName): URL =>
  new URL(import.meta.url.endsWith('.ts') ? `../../../deploy/agent/${name}` : `./${name}`, import.meta.url);

/**
 * The installer as this coordinator gives it out: it knows where it came from, whose signature counts, and by which key it recognizes
 * the coordinator's own certificate (empty where an authority vouches for it). All values are of harmless characters only (`BaseUrl`,
 * base64), so they need no quoting in either shell.
 */
export const installer = async (
  name: InstallerName,
  { url, releaseKey, pin }: { url: string; releaseKey: string; pin: string | null },
): Promise<string> =>
  (await readFile(placeOf(name), 'utf8'))
    .replaceAll('@LAI_URL@', url)
    .replaceAll('@LAI_RELEASE_KEY@', releaseKey)
    .replaceAll('@LAI_TLS_PIN@', pin ?? '');

export interface JoinLine {
  readonly os: JoinSystem;
  readonly url: string;
  /** SHA-256 of the key in the coordinator's own certificate, base64; null where an authority vouches for it, or nothing is encrypted. */
  readonly pin: string | null;
  /** Null: a dry run, which needs none. */
  readonly token: string | null;
  /** The machine may speak to us without encryption. */
  readonly isInsecure: boolean;
  readonly isForUser: boolean;
  readonly isDryRun: boolean;
}

/**
 * Pure. What is pasted on the machine. The token travels as a variable, because a command line can be read by everybody on the machine;
 * what stays of it in the shell's history is worth nothing after its first use. Redirects are not followed: whoever redirects is not us.
 */
export const joinLine = ({ os, url, pin, token, isInsecure, isForUser, isDryRun }: JoinLine): string => {
  const variables = { ...(token === null ? {} : { LAI_TOKEN: token }), ...(isInsecure ? { LAI_INSECURE: 'true' } : {}) };
  if (os === 'windows') {
    // PowerShell 5.1 cannot pin a key; the curl of Windows can, since 10 1803.
    const script =
      pin === null
        ? `irm '${url}/install.ps1'`
        : `curl.exe -fsSk --pinnedpubkey 'sha256//${pin}' '${url}/install.ps1' | Out-String`;
    const settings = Object.entries(variables).map(([name, value]) => `$env:${name}='${value}'; `);
    // What is piped into iex takes no switches; a block does.
    return settings.join('') + (isDryRun ? `& ([scriptblock]::Create((${script}))) -DryRun` : `${script} | iex`);
  }
  const settings = Object.entries(variables).map(([name, value]) => `${name}='${value}' `);
  const flags = [...(isForUser ? [' --user'] : []), ...(isDryRun ? [' --dry-run'] : [])];
  // With a pin, `-k` only leaves out the authorities: another key is refused all the same.
  const curl = pin === null ? 'curl -fsS' : `curl -fsSk --pinnedpubkey 'sha256//${pin}'`;
  return `${curl} '${url}/install.sh' | ${settings.join('')}sh${flags.length > 0 ? ` -s --${flags.join('')}` : ''}`;
};
