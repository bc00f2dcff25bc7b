import { execFileSync } from 'node:child_process';
import { createHash, X509Certificate } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { type NetworkInterfaceInfo, tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { connect } from 'node:tls';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { bits, integer, objectId, octets, time } from './der.ts';
import { lanAddress } from './lan-address.ts';
import { ownCertificate } from './own-certificate.ts';

const onPathHere = (program: string) => process.env['PATH']?.split(delimiter).find((folder) => existsSync(join(folder, program)));

const at = (address: string, internal = false): NetworkInterfaceInfo[] => [
  { address, family: 'IPv4', internal, netmask: '255.255.255.0', mac: '00:00:00:00:00:00', cidr: `${address}/24` },
];

describe('lanAddress', () => {
  it.each<[string, NodeJS.Dict<NetworkInterfaceInfo[]>, string | null]>([
    ['the card in a private network', { lo: at('127.0.0.1', true), eth0: at('192.168.1.20') }, '192.168.1.20'],
    ['the card although a container network comes first', { docker0: at('172.17.0.1'), wlan0: at('10.0.0.7') }, '10.0.0.7'],
    ['a private address before a public one', { eth0: at('203.0.113.9'), eth1: at('10.1.2.3') }, '10.1.2.3'],
    ['a public one where there is no other', { eth0: at('203.0.113.9') }, '203.0.113.9'],
    ['a tunnel before nothing', { tun0: at('10.8.0.2') }, '10.8.0.2'],
    ['nothing for an address that a card gave itself', { eth0: at('169.254.3.4') }, null],
    ['nothing without a network', { lo: at('127.0.0.1', true) }, null],
  ])('is %s', (_, interfaces, expected) => {
    expect(lanAddress(interfaces)).toBe(expected);
  });
});

describe('ownCertificate', () => {
  let dataDir: string;
  beforeEach(() => {
    dataDir = mkdtempSync(join(tmpdir(), 'lai-certificate-'));
  });
  afterEach(() => rmSync(dataDir, { recursive: true, force: true }));
  const make = (names: string[]) => ownCertificate({ dataDir, names, nowMs: Date.now() });

  it('is accepted by TLS under each of its names, by whoever trusts the authority and nobody else', async () => {
    const { chain, key, authority, pin } = make(['127.0.0.1', 'localhost']);
    const server = https.createServer({ cert: chain, key }, (_, response) => response.end('hello'));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const shake = (servername: string, ca?: string) =>
      new Promise<string>((resolve) => {
        const socket = connect({ host: '127.0.0.1', port, servername, ...(ca ? { ca } : {}) }, () => {
          const spki = socket.getPeerX509Certificate()?.publicKey.export({ type: 'spki', format: 'der' }) ?? '';
          resolve(createHash('sha256').update(spki).digest('base64'));
          socket.end();
        });
        socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''));
      });
    expect(await shake('localhost', authority)).toBe(pin);
    expect(await shake('', authority)).toBe(pin);
    expect(await shake('elsewhere.test', authority)).toBe('ERR_TLS_CERT_ALTNAME_INVALID');
    expect(await shake('localhost')).toBe('SELF_SIGNED_CERT_IN_CHAIN');
    server.close();
  });

  it.skipIf(onPathHere('openssl') === undefined)('is a chain that OpenSSL verifies to the letter', () => {
    const { chain, authority } = make(['10.0.0.7']);
    writeFileSync(join(dataDir, 'server.pem'), chain);
    writeFileSync(join(dataDir, 'authority.pem'), authority);
    const args = [
      'verify',
      '-x509_strict',
      '-purpose',
      'sslserver',
      '-verify_ip',
      '10.0.0.7',
      '-CAfile',
      'authority.pem',
      'server.pem',
    ];
    expect(execFileSync('openssl', args, { cwd: dataDir, encoding: 'utf8' })).toBe('server.pem: OK\n');
  });

  it('keeps authority and pin when the addresses of the machine change', async () => {
    const before = make(['192.168.1.20']);
    const after = make(['10.0.0.7', 'attic.local']);
    expect(after.authority).toBe(before.authority);
    expect(after.pin).toBe(before.pin);
    const server = new X509Certificate(after.chain);
    expect(server.subjectAltName).toContain('10.0.0.7');
    expect(server.checkIP('10.0.0.7')).toBe('10.0.0.7');
    expect(server.checkIssued(new X509Certificate(before.authority))).toBe(true);
    expect(server.ca).toBe(false);
  });

  it('is valid for less than 825 days, from yesterday, and its keys are the owner’s alone', async () => {
    const server = new X509Certificate(make(['localhost']).chain);
    const days = (Date.parse(server.validTo) - Date.parse(server.validFrom)) / 86_400_000;
    expect(days).toBeLessThan(825);
    expect(Date.parse(server.validFrom)).toBeLessThan(Date.now() - 3_600_000);
    for (const name of readdirSync(join(dataDir, 'tls'))) expect(statSync(join(dataDir, 'tls', name)).mode & 0o077).toBe(0);
  });
});

describe('der', () => {
  it.each([
    [objectId('1.2.840.10045.4.3.2'), '06082a8648ce3d040302'],
    [objectId('2.5.29.17'), '0603551d11'],
    [time(Date.UTC(2026, 10, 29, 17, 5, 9)), '170d3236313132393137303530395a'],
    [time(Date.UTC(2051, 0, 1)), '180f32303531303130313030303030305a'],
    [integer(Buffer.from([2])), '020102'],
    [bits(Buffer.from([0x06]), 1), '03020106'],
  ])('writes %# as the standard does', (written, expected) => {
    expect(written.toString('hex')).toBe(expected);
  });
  it.each([0, 127, 128, 255, 256, 65_535, 65_536])('writes a length of %d in its shortest form', (length) => {
    const written = octets(Buffer.alloc(length));
    const head =
      length < 128
        ? [length]
        : length < 256
          ? [0x81, length]
          : length < 65_536
            ? [0x82, length >> 8, length & 255]
            : [0x83, 1, 0, 0];
    expect([...written.subarray(1, 1 + head.length)]).toEqual(head);
    expect(written.length).toBe(1 + head.length + length);
  });
});
