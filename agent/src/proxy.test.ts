import https from 'node:https';
import { describe, expect, it } from 'vitest';
import { proxyOnTheWay, socketRoad } from './proxy.ts';

const HTTPS_PROXY = 'http://user:secret@proxy.lan:3128';

describe('the proxy on the way to the coordinator', () => {
  it.each<[string, Record<string, string>, string | null]>([
    ['https://lai.example', { HTTPS_PROXY }, 'proxy.lan:3128'],
    ['https://lai.example', { https_proxy: HTTPS_PROXY }, 'proxy.lan:3128'],
    ['https://lai.example', {}, null],
    ['https://lai.example', { HTTP_PROXY: HTTPS_PROXY }, null],
    ['http://10.0.0.2:8080', { HTTPS_PROXY }, null],
    ['https://lai.lan', { HTTPS_PROXY, NO_PROXY: 'example.org,.lan' }, null],
    ['https://lai.lan', { HTTPS_PROXY, no_proxy: 'lan' }, null],
    ['https://lai.lan', { HTTPS_PROXY, NO_PROXY: '*' }, null],
    ['https://alai.lan', { HTTPS_PROXY, NO_PROXY: 'lai.lan' }, 'proxy.lan:3128'],
    ['https://lai.example', { HTTPS_PROXY: 'nonsense' }, null],
  ])('%s with %j: %s', (url, environment, host) => {
    expect(proxyOnTheWay(url, environment)).toBe(host);
  });

  it('is taken by sockets with TLS alone', () => {
    expect(socketRoad('wss://lai.example', { HTTPS_PROXY })).toEqual({ agent: https.globalAgent });
    expect(socketRoad('ws://lai.lan', { HTTPS_PROXY })).toEqual({});
    expect(socketRoad('wss://lai.example', {})).toEqual({});
  });
});
