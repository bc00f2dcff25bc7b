/**
 * A person without any rights over a clean Debian, with Node 20 and npm: `npm start` answers, and the tests have what they need. Nothing
 * is installed on the machine. Takes Node and npm from this machine, and everything else from where a newcomer gets it.
 */
import { cpSync, existsSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { onPath } from '../engines/cache.ts';
import { cleanClone } from './clean-clone.ts';
import { DebianMachine, noMachineBecause } from './debian-machine.ts';

const SYSTEM_PATH = '/usr/local/bin:/usr/bin';
const [node, npm] = [onPath('node', SYSTEM_PATH), onPath('npm', SYSTEM_PATH)];
const AUTHORITIES = '/etc/ssl/certs/ca-certificates.crt';
const authorities: Record<string, string> = process.env['NODE_EXTRA_CA_CERTS'] ? { NODE_EXTRA_CA_CERTS: AUTHORITIES } : {};

const missing = noMachineBecause() ?? (node && npm ? null : `no node and npm in ${SYSTEM_PATH}`);
if (missing !== null) console.warn(`SKIPPED: npm start of a person without rights. ${missing}`);

describe.skipIf(missing !== null)('a person without rights over a clean Debian', { timeout: 600_000 }, () => {
  let machine: DebianMachine;
  let source: string;
  let packages: string;

  const installed = () => machine.run('dpkg-query --show');
  const asAda = (line: string) =>
    machine.runLong(`exec runuser -u ada -- sh -c 'cd ~/lai && ${line}'`, { HOME: '/home/ada', NO_COLOR: '1', ...authorities });

  beforeAll(async () => {
    source = mkdtempSync(join(tmpdir(), 'lai-ordinary-'));
    cleanClone(source);
    machine = await DebianMachine.boot();
    machine.run('useradd --create-home ada');
    const program = dirname(dirname(dirname(realpathSync(npm ?? ''))));
    cpSync(realpathSync(node ?? ''), join(machine.root, 'usr/bin/node'));
    cpSync(join(program, 'npm'), join(machine.root, 'usr/lib/node_modules/npm'), { recursive: true });
    machine.run('ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/bin/npm');
    cpSync(source, join(machine.root, 'home/ada/lai'), { recursive: true });
    // How this machine reaches its registry and mirror, that one does, too.
    cpSync(AUTHORITIES, join(machine.root, AUTHORITIES));
    if (existsSync(join(homedir(), '.npmrc'))) cpSync(join(homedir(), '.npmrc'), join(machine.root, 'home/ada/.npmrc'));
    machine.run('chown -R ada /home/ada; rm -rf /var/lib/apt/lists/*');
    packages = installed();
  }, 400_000);
  afterAll(async () => {
    await machine?.stop();
    rmSync(source, { recursive: true, force: true });
  });

  it('gets an answer from `npm start`, and sees within seconds what is going on', async () => {
    const { code, text } = await asAda('npm start -- --once');
    expect(code, text).toBe(0);
    expect(text).toContain('lai: fetching Redis into .toolchain with apt-get download; nothing is installed on this machine');
    expect(text).toContain('tokens/s');
    expect(machine.try('test -e /usr/bin/redis-server').status).not.toBe(0);
    expect(installed()).toBe(packages);
  });

  it('starts the second time without fetching anything', async () => {
    const startedAt = performance.now();
    const { code, text } = await asAda('npm start -- --once');
    console.log(`second start: ${((performance.now() - startedAt) / 1_000).toFixed(1)} s`);
    expect(code, text).toBe(0);
    expect(text).not.toContain('lai: fetching');
  });

  it('runs the tests that need a Redis', async () => {
    const { code, text } = await asAda('npm run integration -- coordinator/src/redis coordinator/src/failed-start');
    expect(code, text).toBe(0);
    expect(text).toMatch(/Tests\s+\d+ passed/);
  });

  it('leaves no process behind', () => {
    expect(machine.try('pgrep -u ada -a').stdout).toBe('');
  });
});
