import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import manifest from '../../package.json' with { type: 'json' };
import { composeFindings, readCompose } from './compose.ts';

const DIR = join(import.meta.dirname, '../../deploy/coordinator');
const FILES = ['compose.yaml', 'compose.production.yaml'];
const textOf = (name: string) => readFileSync(join(DIR, name), 'utf8');

const findingsOf = (text: string): string[] => {
  const dir = mkdtempSync(join(tmpdir(), 'lai-compose-'));
  try {
    const path = join(dir, 'compose.yaml');
    writeFileSync(path, text);
    return composeFindings(path, text);
  } finally {
    rmSync(dir, { recursive: true });
  }
};

describe.each(FILES)('%s', (name) => {
  const text = textOf(name);
  const { services } = readCompose(text);

  it('has no findings', () => {
    expect(composeFindings(join(DIR, name), text)).toEqual([]);
  });

  it('leaves a machine of 2 GB room for itself', () => {
    const mib = (service: string) => Number.parseInt(services[service]?.mem_limit ?? '', 10);
    expect(mib('lai') + mib('redis') + mib('caddy')).toBeLessThanOrEqual(1_536);
    expect(mib('lai') + mib('redis') + mib('caddy') + mib('postgres')).toBeLessThanOrEqual(1_800);
  });

  it('runs Redis so that it neither forgets nor evicts', () => {
    const words = services['redis']?.command ?? [];
    const setting = (option: string) => words[words.indexOf(`--${option}`) + 1];
    expect([setting('appendonly'), setting('appendfsync'), setting('maxmemory-policy')]).toEqual(['yes', 'always', 'noeviction']);
    expect(Number.parseInt(setting('maxmemory') ?? '', 10) * 2).toBeLessThanOrEqual(
      Number.parseInt(services['redis']?.mem_limit ?? '', 10),
    );
  });

  it('lets answers finish before it is killed', () => {
    expect(Number.parseInt(services['lai']?.stop_grace_period ?? '', 10)).toBeGreaterThan(30);
  });

  it('believes the address that it gives to Caddy, and no other', () => {
    expect(services['caddy']?.networks).toEqual({ front: { ipv4_address: '172.30.52.2' } });
    expect(services['lai']?.environment?.['LAI_TRUSTED_PROXIES']).toBe('172.30.52.2');
  });

  it.each([
    ['internal: true', 'internal: false', 'leads out'],
    ['"127.0.0.1:', '"', 'on which address'],
    [':7.4.8-bookworm', ':latest', 'fixed tag'],
    ['mem_limit: 768m\n', 'mem_limit: lots\n', 'memory limit'],
    ['no-new-privileges:true', 'seccomp:unconfined', 'privileges'],
    ['depends_on', 'depend_on', 'line'],
    ['stop_grace_period: 45s', 'stop_grace: 45s', 'line'],
  ])('%s as %s would be found', (right, wrong, finding) => {
    expect(text).toContain(right);
    expect(findingsOf(text.replace(right, wrong)).join('\n')).toContain(finding);
  });
});

describe('the production file', () => {
  const [here, there] = FILES.map((name) => readCompose(textOf(name)));

  it('differs from the other in where the coordinator comes from, and in nothing else', () => {
    const { image, ...published } = there?.services['lai'] ?? { image: '', networks: [] };
    const { image: _local, build: _build, ...built } = here?.services['lai'] ?? { image: '', networks: [] };
    expect(published).toEqual(built);
    expect(image).toContain('LAI_REGISTRY');
    expect({ ...there, services: { ...there?.services, lai: null } }).toEqual({
      ...here,
      services: { ...here?.services, lai: null },
    });
  });

  it('builds nothing and names the version that it came with', () => {
    const text = textOf('compose.production.yaml');
    expect(text).not.toMatch(/^\s+build:/m);
    expect(text).toContain(`${'$'}{LAI_VERSION:-${manifest.version}}`);
    expect(textOf('env.example')).toContain(`LAI_VERSION=${manifest.version}\n`);
  });

  it('says how to roll back', () => {
    expect(textOf('compose.production.yaml')).toMatch(/roll back/i);
  });
});
