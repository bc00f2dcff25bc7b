import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { NodeEntry } from '../../shared/src/admin-api.ts';
import { onPath } from '../engines/cache.ts';
import { freePort } from './fleet.ts';
import { Program } from './program.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const AGENT = join(ROOT, 'agent', 'dist', 'lai-agent.js');
const LAI = join(ROOT, 'coordinator', 'dist', 'lai.js');

/** This machine as its network knows it; none where there is no network. */
const lanAddress = Object.values(networkInterfaces())
  .flat()
  .find((address) => address && address.family === 'IPv4' && !address.internal)?.address;

describe.skipIf(onPath('openssl') === undefined)('between machines', () => {
  let directory: string;
  const programs: Program[] = [];
  const start = (...args: ConstructorParameters<typeof Program>): Program => {
    const program = new Program(...args);
    programs.push(program);
    return program;
  };

  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'lai-tls-'));
    execFileSync(
      'openssl',
      [
        ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'],
        ...['-subj', '/CN=lai.test', '-addext', `subjectAltName=IP:127.0.0.1${lanAddress ? `,IP:${lanAddress}` : ''}`],
        ...['-keyout', join(directory, 'key.pem'), '-out', join(directory, 'cert.pem')],
      ],
      { stdio: 'pipe' },
    );
  });
  afterAll(async () => {
    for (const program of programs.toReversed()) program.kill('SIGTERM');
    await Promise.all(programs.map((program) => program.exited));
    rmSync(directory, { recursive: true, force: true });
  });

  const coordinator = async (name: string, env: Record<string, string>) => {
    const dataDir = join(directory, name);
    mkdirSync(dataDir);
    const port = await freePort();
    const settings = { LAI_DATA_DIR: dataDir, LAI_PORT: String(port), NODE_EXTRA_CA_CERTS: join(directory, 'cert.pem'), ...env };
    const program = start(`coordinator ${name}`, [LAI, 'serve'], settings);
    await program.until(/coordinator is listening/);
    const lai = (...args: string[]) => new Program('lai', [LAI, ...args], settings).output();
    return { program, port, lai, settings };
  };
  const join_ = (url: string, token: string, name: string, ...flags: string[]) =>
    start(`join ${name}`, [AGENT, 'join', '--url', url, '--name', name, '--data-dir', join(directory, name), ...flags], {
      LAI_TOKEN: token,
      NODE_EXTRA_CA_CERTS: join(directory, 'cert.pem'),
    });
  const run = (name: string, ...flags: string[]) =>
    start(
      `agent ${name}`,
      [
        ...[AGENT, 'run', '--data-dir', join(directory, name), '--name', name, '--local-port', '0'],
        ...['--runtime', 'mock', '--mock-profile', 'linux-3070', ...flags],
      ],
      { LAI_LOG_LEVEL: 'info', NODE_EXTRA_CA_CERTS: join(directory, 'cert.pem') },
    );
  const entry = async (lai: (...args: string[]) => Promise<string>, name: string): Promise<NodeEntry | undefined> =>
    (JSON.parse(await lai('nodes', 'list', '--json')) as NodeEntry[]).find((node) => node.name === name);

  it("the coordinator's own certificate serves clients, commands and agents", async () => {
    const { lai, port } = await coordinator('own', {
      LAI_TLS_CERT: join(directory, 'cert.pem'),
      LAI_TLS_KEY: join(directory, 'key.pem'),
    });
    const url = `https://127.0.0.1:${port}`;
    await join_(url, (await lai('tokens', 'create')).trim(), 'safe').output();
    await run('safe').until(/"connected"/);
    expect(await entry(lai, 'safe')).toMatchObject({ state: 'approved', lastTransport: 'tls' });
    await expect(fetch(`http://127.0.0.1:${port}/livez`)).rejects.toThrow();
  });

  it.skipIf(lanAddress === undefined)(
    'nothing goes over a network in the clear unless somebody insists, and then it shows',
    async () => {
      const { lai, port, program } = await coordinator('plain', { LAI_HOST: '0.0.0.0' });
      await program.until(/without TLS/);
      const url = `http://${lanAddress}:${port}`;
      const token = (await lai('tokens', 'create')).trim();
      const refused = join_(url, token, 'open');
      expect(await refused.exited).toBe(1);
      expect(refused.text).toContain('is not encrypted');
      await join_(url, token, 'open', '--insecure').output();
      const careful = run('open');
      expect(await careful.exited).toBe(1);
      const agent = run('open', '--insecure');
      await agent.until(/INSECURE/);
      await agent.until(/"connected"/);
      expect(await entry(lai, 'open')).toMatchObject({ lastTransport: 'plain', lastAddress: lanAddress });
      expect(await lai('nodes', 'list')).toContain('INSECURE');
    },
  );
});
