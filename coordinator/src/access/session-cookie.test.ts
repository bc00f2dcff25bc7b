import { describe, expect, it } from 'vitest';
import { cookieName, readSessionCookie, sessionCookie } from './session-cookie.ts';

const SECRET = '0a'.repeat(16);
const secure = cookieName({ transport: 'tls' }, 'lai.example') ?? '';
const local = cookieName({ transport: 'loopback' }, '127.0.0.1:5240') ?? '';

describe('the cookie of a session', () => {
  it('belongs to this host, to TLS and to no script', () => {
    expect(sessionCookie(secure, SECRET)).toBe(`__Host-lai=${SECRET}; Path=/; HttpOnly; SameSite=Strict; Secure`);
    expect(sessionCookie(local, SECRET)).toBe(`lai-on-this-machine=${SECRET}; Path=/; HttpOnly; SameSite=Strict`);
  });

  it('outlives the browser only where it is asked to stay', () => {
    expect(sessionCookie(local, SECRET, 'stays')).toContain('; Max-Age=2592000');
    expect(sessionCookie(local, SECRET, 'idles')).not.toContain('Max-Age');
  });

  it('is taken back with the same attributes', () => {
    expect(sessionCookie(secure, null)).toBe('__Host-lai=; Path=/; HttpOnly; SameSite=Strict; Secure; Max-Age=0');
  });

  it.each(['localhost', 'localhost:5240', '127.0.0.1', '127.0.0.1:5240', '[::1]:5240'])('travels in the clear to %s', (host) => {
    expect(cookieName({ transport: 'loopback' }, host)).toBe('lai-on-this-machine');
  });

  it.each(['lai.example', 'lai.example:5240', '192.168.1.7', 'localhost.evil.example', '127.0.0.1.evil.example', '', undefined])(
    'does not travel in the clear to %s, even from this machine',
    (host) => {
      expect(cookieName({ transport: 'loopback' }, host)).toBeNull();
    },
  );

  it('does not travel in the clear over a network, whatever the host is said to be', () => {
    expect(cookieName({ transport: 'plain' }, 'localhost')).toBeNull();
  });

  it('is found among others, and only under its own name', () => {
    expect(readSessionCookie(`theme=dark; __Host-lai=${SECRET}; a=b=c`, secure)).toBe(SECRET);
    expect(readSessionCookie(`lai-on-this-machine=${SECRET}`, local)).toBe(SECRET);
    // Anybody in the network can plant this one in a browser: over TLS it means nothing.
    expect(readSessionCookie(`lai-on-this-machine=${SECRET}`, secure)).toBeNull();
    expect(readSessionCookie(`__Host-lai=${SECRET}`, local)).toBeNull();
    for (const header of [undefined, '', ';;', `x__Host-lai=${SECRET}`, `__host-lai=${SECRET}`, '=x', SECRET])
      expect(readSessionCookie(header, secure)).toBeNull();
    for (const header of [undefined, '', `null=${SECRET}`, `__Host-lai=${SECRET}`])
      expect(readSessionCookie(header, null)).toBeNull();
  });
});
