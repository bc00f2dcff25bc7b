/**
 * Unpacks Debian packages into a private folder: no root, nothing installed, nothing built. apt itself downloads from the
 * mirror this machine already uses and verifies Debian's signatures; only its state lives elsewhere. A suite newer than the
 * machine's own works too, as long as the programs run against the unpacked libc (see `llama-server.ts`).
 */
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { onPath } from './cache.ts';
import { run } from './command.ts';

const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg';

/** Address of the Debian mirror in the output of `apt-get --print-uris update` ('…/debian/dists/…'). */
export function mirrorIn(printedUris: string): string | undefined {
  return /^'([^']*\/debian)\/*\/dists\//m.exec(printedUris)?.[1];
}

async function findMirror(): Promise<string | undefined> {
  const held = await run(
    'apt-get',
    ['indextargets', '--format', '$(SITE)', 'Created-By: Packages', 'Origin: Debian', 'Label: Debian'],
    { limitMs: 30_000 },
  );
  const known = held.stdout.split('\n')[0]?.trim();
  // Before the first `apt-get update` no index is held; then the addresses that it would download tell.
  return known || mirrorIn((await run('apt-get', ['--print-uris', 'update'], { limitMs: 30_000 })).stdout);
}

/** apt's configuration for a private state folder; values are quoted because the folder may contain spaces. */
export function aptConfiguration(dir: string, user: string): string {
  const settings = {
    'Dir::Etc::sourcelist': join(dir, 'sources.list'),
    'Dir::Etc::sourceparts': '/dev/null',
    'Dir::State::lists': join(dir, 'lists'),
    'Dir::Cache': dir,
    'Acquire::Languages': 'none',
    // apt drops to the user `_apt` when root runs it, and that one cannot write here.
    'APT::Sandbox::User': user,
  };
  return Object.entries(settings)
    .map(([name, value]) => `${name} "${value}";\n`)
    .join('');
}

/** Unpacks `packages` (exactly these, without their dependencies) under `target`; returns why it could not, else undefined. */
export async function unpackDebianPackages(options: {
  suite: string;
  packages: readonly string[];
  target: string;
}): Promise<string | undefined> {
  for (const tool of ['apt-get', 'dpkg-deb']) {
    if (onPath(tool) === undefined) return `${tool} not found: this works on Debian only`;
  }
  if (!existsSync(keyring)) return `${keyring} not found: install the package debian-archive-keyring`;
  const mirror = await findMirror();
  if (mirror === undefined) return 'no Debian mirror in the apt configuration of this machine';

  const aptDir = `${options.target}.apt`;
  const debs = join(aptDir, 'debs');
  for (const dir of [debs, join(aptDir, 'lists', 'partial'), join(aptDir, 'archives', 'partial')])
    mkdirSync(dir, { recursive: true });
  try {
    writeFileSync(join(aptDir, 'sources.list'), `deb [signed-by=${keyring}] ${mirror} ${options.suite} main\n`);
    writeFileSync(join(aptDir, 'apt.conf'), aptConfiguration(aptDir, userInfo().username));
    const apt = { env: { APT_CONFIG: join(aptDir, 'apt.conf') }, cwd: debs, limitMs: 300_000 };
    const update = await run('apt-get', ['-q', 'update'], apt);
    if (!update.ok) return `apt-get update for Debian ${options.suite} failed: ${update.lastLine}`;
    const download = await run('apt-get', ['-q', 'download', ...options.packages], apt);
    if (!download.ok) return `apt-get download from Debian ${options.suite} failed: ${download.lastLine}`;
    for (const deb of readdirSync(debs)) {
      const unpacked = await run('dpkg-deb', ['-x', join(debs, deb), options.target], { limitMs: 60_000 });
      if (!unpacked.ok) return `dpkg-deb could not unpack ${deb}: ${unpacked.lastLine}`;
    }
    return undefined;
  } finally {
    rmSync(aptDir, { recursive: true, force: true });
  }
}
