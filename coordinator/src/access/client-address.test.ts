import { describe, expect, it } from 'vitest';
import { clientAddress, isLoopback, trustedProxies } from './client-address.ts';
import { FailureLimits, networkOf } from './failure-limits.ts';

const from = (
  peer: string,
  headers: { for?: string; proto?: string } = {},
  options: { trusted?: string[]; isEncrypted?: boolean } = {},
) =>
  clientAddress(
    { peer, isEncrypted: options.isEncrypted ?? false, forwardedFor: headers.for, forwardedProto: headers.proto },
    trustedProxies(options.trusted ?? []),
  );

describe('the address of a client', () => {
  it('is that of its socket, whatever it claims to be', () => {
    expect(from('203.0.113.9', { for: '127.0.0.1', proto: 'https' })).toEqual({ address: '203.0.113.9', transport: 'plain' });
    expect(from('::ffff:203.0.113.9')).toEqual({ address: '203.0.113.9', transport: 'plain' });
    expect(from('127.0.0.1')).toEqual({ address: '127.0.0.1', transport: 'loopback' });
    expect(from('203.0.113.9', {}, { isEncrypted: true })).toEqual({ address: '203.0.113.9', transport: 'tls' });
  });

  it('is the one that a trusted proxy saw', () => {
    const trusted = ['10.0.0.0/8', '::1'];
    expect(from('10.1.2.3', { for: '203.0.113.9', proto: 'https' }, { trusted })).toEqual({
      address: '203.0.113.9',
      transport: 'tls',
    });
    expect(from('::1', { for: '203.0.113.9', proto: 'http' }, { trusted })).toEqual({
      address: '203.0.113.9',
      transport: 'plain',
    });
  });

  it('is read from the right, so that a client cannot put words before it', () => {
    const trusted = ['10.0.0.0/8'];
    expect(from('10.0.0.1', { for: '127.0.0.1, 203.0.113.9' }, { trusted }).address).toBe('203.0.113.9');
    expect(from('10.0.0.1', { for: '1.1.1.1, 203.0.113.9, 10.0.0.7' }, { trusted }).address).toBe('203.0.113.9');
  });

  it.each(['', 'unknown', '<script>', '203.0.113.9:80, evil'])('is the proxy itself when it says %j', (forwarded) => {
    expect(from('10.0.0.1', { for: forwarded }, { trusted: ['10.0.0.1'] }).address).toBe('10.0.0.1');
  });

  it.each(['10.0.0.0/33', 'proxy.local', '', '10.0.0.0/x', '::1/129'])('cannot be asked of %j', (entry) => {
    expect(() => trustedProxies([entry])).toThrow(/no address/);
  });

  it.each([
    ['127.0.0.1', true],
    ['127.9.9.9', true],
    ['localhost', true],
    ['::1', true],
    ['[::1]', true],
    ['::ffff:127.0.0.1', true],
    ['0.0.0.0', false],
    ['::', false],
    ['127.0.0.1.evil.example', false],
    ['192.168.1.2', false],
  ])('%s is this machine: %s', (host, isIt) => {
    expect(isLoopback(host)).toBe(isIt);
  });
});

describe('who fails too often', () => {
  it('is told to wait until the minute is over', () => {
    const limits = new FailureLimits();
    for (let count = 0; count < 60; count += 1) expect(limits.failed('203.0.113.9', 1_000)).toBeNull();
    expect(limits.failed('203.0.113.9', 31_000)).toBe(30);
    expect(limits.failed('203.0.113.10', 31_000)).toBeNull();
    expect(limits.failed('203.0.113.9', 61_000)).toBeNull();
  });

  it('is counted by network where an address costs nothing', () => {
    expect(networkOf('2001:db8:1:2:3:4:5:6')).toBe(networkOf('2001:DB8:1:2::9'));
    expect(networkOf('2001:db8:1:2::1')).not.toBe(networkOf('2001:db8:1:3::1'));
    expect(networkOf('::1')).toBe('0:0:0:0::/64');
    expect(networkOf('fe80::1%eth0')).toBe(networkOf('fe80::2'));
    expect(networkOf('::ffff:203.0.113.9')).toBe('203.0.113.9');
  });

  it('takes no more memory the more they are', () => {
    const limits = new FailureLimits();
    for (let count = 0; count < 30_000; count += 1) limits.failed(`10.${count >> 16}.${(count >> 8) & 255}.${count & 255}`, 0);
    // The first address has been forgotten, and begins anew.
    for (let count = 0; count < 60; count += 1) expect(limits.failed('10.0.0.0', 1)).toBeNull();
  });
});
