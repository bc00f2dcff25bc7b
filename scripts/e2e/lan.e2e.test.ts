/** A coordinator with `--lan`: how machines of the network reach it, and who is refused. What a whole machine does: join-lan.engines.test.ts. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { NodeEntry } from '../../shared/src/admin-api.ts';
import { generateIdentityKeys } from '../../shared/src/ed25519.ts';
import type { JoinCommand } from '../../shared/src/release-api.ts';
import { onPath } from '../engines/cache.ts';
import { buildRelease } from '../release/build-release.ts';
import { nodeThatRuns } from '../release/node-programs.ts';
import { freePort } from './fleet.ts';
import { Program } from './program.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const AGENT = join(ROOT, 'agent', 'dist', 'lai-agent.js');
const LAI = join(ROOT, 'coordinator', 'dist', 'lai.js');

const hasNetwork = Object.values(networkInterfaces())
  .flat()
  .some((found) => found?.family === 'IPv4' && !found.internal);
if (!hasNetwork) console.warn('lan: skipped, because this machine is in no network');

describe.skipIf(!hasNetwork)('a coordinator on the local network', { timeout: 120_000 }, () => {
  let directory: string;
  const programs: Program[] = [];
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'lai-lan-'));
  });
  afterAll(async () => {
    for (const program of programs.toReversed()) program.kill('SIGTERM');
    await Promise.all(programs.map((program) => program.exited));
    rmSync(directory, { recursive: true, force: true });
  });
  // No machine of the fleet knows its authority from elsewhere.
  const start = (name: string, args: readonly string[], env: Record<string, string> = {}): Program => {
    const program = new Program(name, args, { NODE_EXTRA_CA_CERTS: '', ...env });
    programs.push(program);
    return program;
  };
  const coordinator = async (name: string, port: number, ...flags: string[]) => {
    const settings = { LAI_DATA_DIR: join(directory, name), LAI_PORT: String(port), NODE_EXTRA_CA_CERTS: '' };
    const program = start(name, [LAI, 'serve', ...flags], settings);
    const { lan } = JSON.parse(await program.until(/coordinator is listening/)) as { lan: string };
    const lai = (...args: string[]) => new Program('lai', [LAI, ...args], settings).output();
    const token = async () => (await lai('tokens', 'create')).trim();
    return { program, lan, port, lai, token, settings };
  };
  const joining = (url: string, token: string, name: string) =>
    start(`join ${name}`, [AGENT, 'join', '--url', url, '--name', name, '--data-dir', join(directory, name)], {
      LAI_TOKEN: token,
    });
  const running = (name: string) =>
    start(`agent ${name}`, [
      ...[AGENT, 'run', '--data-dir', join(directory, name), '--name', name, '--local-port', '0'],
      ...['--runtime', 'mock', '--mock-profile', 'linux-3070'],
    ]);

  it('lets an agent join with nothing but address and token, over TLS, and keeps it after a restart', async () => {
    const port = await freePort();
    const first = await coordinator('home', port, '--lan');
    expect(first.lan).toMatch(/^https:\/\/\d+\.\d+\.\d+\.\d+:\d+$/);
    await joining(first.lan, await first.token(), 'attic').output();
    const agent = running('attic');
    await agent.until(/"connected"/);
    const [node] = JSON.parse(await first.lai('nodes', 'list', '--json')) as NodeEntry[];
    expect(node).toMatchObject({ name: 'attic', lastTransport: 'tls' });
    // This machine itself goes on as before.
    expect((await fetch(`http://127.0.0.1:${port}/livez`)).status).toBe(200);

    first.program.kill('SIGTERM');
    await first.program.exited;
    const again = await coordinator('home', port, '--lan');
    const connects = () => agent.text.match(/"connected"/g)?.length ?? 0;
    await expect.poll(connects, { timeout: 40_000 }).toBe(2);

    // Whoever lost the folder, or restored a backup elsewhere, has another authority: the coordinator's identity vouches for it.
    again.program.kill('SIGTERM');
    await again.program.exited;
    rmSync(join(directory, 'home', 'tls'), { recursive: true });
    await coordinator('home', port, '--lan');
    await agent.until(/proved its own certificate authority/);
    await expect.poll(connects, { timeout: 40_000 }).toBe(3);
  });

  it('is not taken for another coordinator, which has a certificate of its own as well', async () => {
    const port = await freePort();
    const impostor = await coordinator('impostor', await freePort(), '--lan');
    const real = await coordinator('real', port, '--lan');
    const refused = joining(impostor.lan, await real.token(), 'careful');
    expect(await refused.exited).toBe(1);
    expect(refused.text).toContain('is not the coordinator that made this token');
    expect(refused.text).not.toMatch(/^\s+at /m);
    expect(JSON.parse(await impostor.lai('nodes', 'list', '--json'))).toEqual([]);
  });

  it.skipIf(onPath('curl') === undefined)('prints a line whose download refuses every other key', async () => {
    const { lai, lan, settings } = await coordinator('line', await freePort(), '--lan');
    await buildRelease({
      ...{ version: '0.1.0', outDir: join(settings.LAI_DATA_DIR, 'releases'), key: await generateIdentityKeys() },
      ...{ platforms: [`linux-${process.arch === 'arm64' ? 'arm64' : 'x64'}`], nodeSource: nodeThatRuns, isQuick: true },
    });
    const { command, warnings } = JSON.parse(await lai('join-command', '--os', 'linux', '--json')) as JoinCommand;
    expect(warnings).toEqual([]);
    const [, pin = '', url = ''] =
      /^curl -fsSk --pinnedpubkey 'sha256\/\/([^']+)' '([^']+)' \| LAI_TOKEN='laj_/.exec(command) ?? [];
    expect(url).toBe(`${lan}/install.sh`);
    const get = (key: string) => spawnSync('curl', ['-fsSk', '--pinnedpubkey', `sha256//${key}`, url], { encoding: 'utf8' });
    const script = get(pin).stdout;
    expect(script).toContain(`tls_pin='${pin}'`);
    expect(script).toContain(`url='${lan}'`);
    // 90: the key is another one.
    expect(get(`${'A'.repeat(43)}=`)).toMatchObject({ status: 90, stdout: '' });
    // Clients trust the authority.
    const authority = join(settings.LAI_DATA_DIR, 'tls', 'authority.pem');
    expect(readFileSync(authority, 'utf8')).toContain('BEGIN CERTIFICATE');
    expect(spawnSync('curl', ['-fsS', '--cacert', authority, `${lan}/livez`], { encoding: 'utf8' }).stdout).toBe('ok\n');
  });

  it('says how others can reach it when it listens on this machine alone', async () => {
    const { lai } = await coordinator('alone', await freePort());
    const refused = await lai('join-command', '--os', 'linux').catch((error: Error) => error.message);
    expect(refused).toContain('listens on 127.0.0.1');
    expect(refused).toContain('npm start -- --lan');
    expect(await lai('tokens', 'list', '--json')).not.toContain('expiresAtMs');
  });
});
