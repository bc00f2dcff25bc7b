/**
 * From a fresh `lai up --lan` to a second machine that is connected: the coordinator makes the release by itself, the line that it prints
 * is pasted on a clean Debian, and nothing else is done there. The machine shares our network and nothing else.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DebianMachine, noMachineBecause } from './debian-machine.ts';
import { freePort } from './fleet.ts';
import { Program } from './program.ts';

const LAI = join(import.meta.dirname, '../../coordinator/dist/lai.js');

const missing = noMachineBecause();
if (missing !== null) console.warn(`SKIPPED: a second machine joins by the printed line. ${missing}`);

describe.skipIf(missing !== null)('a second machine', { timeout: 240_000 }, () => {
  let directory: string;
  let machine: DebianMachine;
  let up: Program;
  let env: Record<string, string>;

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'lai-join-lan-'));
    env = { LAI_DATA_DIR: join(directory, 'data'), LAI_PORT: String(await freePort()), NODE_EXTRA_CA_CERTS: '' };
    machine = await DebianMachine.boot();
    machine.run('useradd ada && echo "ada ALL=(ALL) NOPASSWD: ALL" > /etc/sudoers.d/ada');
  }, 400_000);
  afterAll(async () => {
    up?.kill('SIGTERM');
    await up?.exited;
    await machine?.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  it('joins by the line that a fresh start prints, within a minute, over TLS, without any preparation', async () => {
    const startedAt = performance.now();
    up = new Program('lai up', [LAI, 'up', '--lan', '--demo'], env);
    const line = await up.until(/curl .*install\.sh/, 180_000);
    const printedAt = performance.now();
    const { status, stdout, stderr } = machine.try('runuser -u ada -- sh', { input: line });
    const connectedAt = performance.now();
    expect(status, stdout + stderr).toBe(0);
    expect(stdout).toContain('Version 0.1.0 runs and is connected.');
    const seconds = (from: number, to: number) => `${((to - from) / 1_000).toFixed(1)} s`;
    console.log(`start to line: ${seconds(startedAt, printedAt)}; paste to connected: ${seconds(printedAt, connectedAt)}`);
    expect(connectedAt - printedAt).toBeLessThan(60_000);
    const nodes = await new Program('lai', [LAI, 'nodes', 'list', '--json'], env).output();
    expect(JSON.parse(nodes)).toContainEqual(
      expect.objectContaining({ name: 'bare-metal', state: 'approved', lastTransport: 'tls' }),
    );
  });

  it('looks after itself over the same certificate: updates are asked for and nothing is wrong', () => {
    expect(machine.run('lai-agent update --check')).toContain('Nothing newer than 0.1.0.');
    expect(machine.try('lai-agent doctor').stdout).toContain('The coordinator answers at https://');
  });
});
