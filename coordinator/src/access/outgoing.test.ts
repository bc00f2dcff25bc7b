import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isAllowedAddress, judgeUrl, OutgoingRefused, openOutgoing, STRICT } from './outgoing.ts';

const HOUSE = { isPlainAllowed: true, isPrivateAllowed: true };

describe('a URL that somebody else chose', () => {
  it.each([
    'https://api.openai.com/v1',
    'https://api.example.com:8443/v1?x=y',
    'https://1.1.1.1/',
    'https://[2606:4700:4700::1111]/',
    'https://xn--mnchen-3ya.example/',
  ])('is fine: %s', (url) => {
    expect(judgeUrl(url, STRICT).kind).toBe('fine');
  });

  it.each([
    // Other schemes
    ...[
      'http://api.example.com/',
      'ftp://a.example/',
      'file:///etc/passwd',
      'gopher://a.example/',
      'data:text/plain,x',
      'javascript:alert(1)',
    ],
    ...[
      'unix:///var/run/docker.sock',
      'ws://a.example',
      '//a.example/',
      'a.example',
      '',
      'https://',
      'https:///x',
      'https:a.example\\@127.0.0.1',
    ],
    // This machine, in every spelling
    ...[
      'https://127.0.0.1/',
      'https://127.1/',
      'https://127.0.1/',
      'https://2130706433/',
      'https://0x7f000001/',
      'https://0x7f.1/',
    ],
    ...[
      'https://0177.0.0.1/',
      'https://017700000001/',
      'https://127.000.000.001/',
      'https://0/',
      'https://0.0.0.0/',
      'https://[::]/',
    ],
    ...[
      'https://[::1]/',
      'https://[0:0:0:0:0:0:0:1]/',
      'https://[::ffff:127.0.0.1]/',
      'https://[::ffff:7f00:1]/',
      'https://[::127.0.0.1]/',
    ],
    ...[
      'https://localhost/',
      'https://LOCALHOST/',
      'https://a.localhost/',
      'https://localhost./',
      'https://127.0.0.1./',
      'https://①②⑦.⓪.⓪.①/',
    ],
    ...['https://127。0。0。1/', 'https://%31%32%37.0.0.1/', 'https://127.0.0.1%00.example/'],
    // The house
    ...[
      'https://10.0.0.1/',
      'https://10.255.255.255/',
      'https://172.16.0.1/',
      'https://172.31.255.1/',
      'https://192.168.1.1/',
      'https://100.64.0.1/',
    ],
    ...[
      'https://169.254.1.1/',
      'https://[fe80::1]/',
      'https://[fc00::1]/',
      'https://[fd12:3456::1]/',
      'https://[::ffff:192.168.1.1]/',
    ],
    ...[
      'https://router.local/',
      'https://printer.lan/',
      'https://x.internal/',
      'https://metadata.google.internal/',
      'https://x.home.arpa/',
    ],
    // What clouds keep for their machines
    ...[
      'https://169.254.169.254/latest/meta-data/',
      'https://[::ffff:169.254.169.254]/',
      'https://[::ffff:a9fe:a9fe]/',
      'https://2852039166/',
    ],
    ...[
      'https://0xa9fea9fe/',
      'https://0251.0376.0251.0376/',
      'https://[fd00:ec2::254]/',
      'https://100.100.100.200/',
      'https://169.254.170.2/',
    ],
    // An address inside an address
    ...[
      'https://[64:ff9b::7f00:1]/',
      'https://[64:ff9b::a9fe:a9fe]/',
      'https://[2002:7f00:1::]/',
      'https://[2002:a9fe:a9fe::1]/',
      'https://[2001:0:7f00:1::]/',
    ],
    // Nobody
    ...[
      'https://224.0.0.1/',
      'https://255.255.255.255/',
      'https://240.0.0.1/',
      'https://192.0.2.1/',
      'https://198.18.0.1/',
      'https://[ff02::1]/',
    ],
    // What one parser reads one way and another the other
    ...[
      'https://api.example.com@127.0.0.1/',
      'https://user:password@api.example.com/',
      'https://@127.0.0.1/',
      'https://127.0.0.1\\@api.example.com/',
    ],
    ...[
      'https://api.example.com\\.evil.example/',
      'https:\\\\127.0.0.1\\',
      'https://api.example.com\t.evil/',
      ' https://127.0.0.1/',
      'https://a.example/\r\nX: y',
    ],
    ...['https://a.example#@127.0.0.1/', 'https://api.example.com:443@127.0.0.1/'].filter(
      (url) => url.includes('@127') && !url.includes('#'),
    ),
    ...['https://[::1%25eth0]/', 'https://[fe80::1%eth0]/', `https://${'a'.repeat(300)}.example/`],
  ])('is refused: %j', (url) => {
    expect(judgeUrl(url, STRICT)).toMatchObject({ kind: 'refused' });
  });

  it.each([
    'http://127.0.0.1:11434/v1',
    'http://192.168.1.20:8080',
    'http://[::1]:1/',
    'http://gpu.lan:5000/',
    'https://10.0.0.1/',
  ])('may be of the house when an operator has entered it: %s', (url) => {
    expect(judgeUrl(url, HOUSE).kind).toBe('fine');
  });

  it.each([
    'http://169.254.169.254/',
    'http://[::ffff:169.254.169.254]/',
    'http://0.0.0.0/',
    'http://[64:ff9b::a9fe:a9fe]/',
    'http://100.100.100.200/',
  ])('is refused even then: %s', (url) => {
    expect(judgeUrl(url, HOUSE).kind).toBe('refused');
  });
});

it.each(['', 'x', '1.2.3', 'fe80::1%eth0', '::ffff:300.1.1.1'])('%j is no address', (address) => {
  expect(isAllowedAddress(address, HOUSE)).toBe(false);
});

describe('a request to it', () => {
  let server: Server;
  let port: number;
  const seen: { url: string | undefined; authorization: string | undefined; host: string | undefined }[] = [];

  beforeAll(async () => {
    server = createServer((request, response) => {
      seen.push({ url: request.url, authorization: request.headers.authorization, host: request.headers.host });
      if (request.url === '/away') response.writeHead(302, { location: '/canary' }).end();
      else response.end('hello');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    port = (server.address() as AddressInfo).port;
  });
  afterAll(() => new Promise<void>((resolve) => void server.close(() => resolve())));

  const signal = AbortSignal.timeout(120_000);
  const at = (address: string) => async () => [{ address, family: 4 }];

  it('goes to the address that was judged, under the name that was asked for', async () => {
    const response = await openOutgoing({ url: `http://gpu.example:${port}/x`, policy: HOUSE, signal, resolve: at('127.0.0.1') });
    expect(response.statusCode).toBe(200);
    response.resume();
    expect(seen.at(-1)).toMatchObject({ url: '/x', host: `gpu.example:${port}` });
  });

  it('is never sent when the name means the house, or when one of its addresses does', async () => {
    const before = seen.length;
    const strictlyPlain = { isPlainAllowed: true, isPrivateAllowed: false };
    for (const addresses of [['127.0.0.1'], ['1.1.1.1', '127.0.0.1'], ['::ffff:127.0.0.1'], ['169.254.169.254']]) {
      const resolve = async () => addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
      const asked = openOutgoing({ url: `http://rebind.example:${port}/canary`, policy: strictlyPlain, signal, resolve });
      await expect(asked).rejects.toThrow(OutgoingRefused);
    }
    expect(seen.length).toBe(before);
  });

  it('asks for the address once: a name that changes its mind is not asked again', async () => {
    let asked = 0;
    const resolve = async () => {
      asked += 1;
      return [{ address: asked === 1 ? '127.0.0.1' : '127.0.0.2', family: 4 }];
    };
    (await openOutgoing({ url: `http://flip.example:${port}/once`, policy: HOUSE, signal, resolve })).resume();
    expect(asked).toBe(1);
    expect(seen.at(-1)?.url).toBe('/once');
  });

  it('follows no redirect', async () => {
    const asked = openOutgoing({ url: `http://a.example:${port}/away`, policy: HOUSE, signal, resolve: at('127.0.0.1') });
    await expect(asked).rejects.toThrow(/redirects/);
    expect(seen.map(({ url }) => url)).not.toContain('/canary');
  });

  it('carries a credential to the origin it was made for and nowhere else', async () => {
    const credential = { origin: `http://a.example:${port}`, header: 'authorization', value: 'Bearer secret' };
    const ask = (host: string) =>
      openOutgoing({ url: `http://${host}:${port}/key`, policy: HOUSE, signal, credential, resolve: at('127.0.0.1') });
    (await ask('a.example')).resume();
    expect(seen.at(-1)?.authorization).toBe('Bearer secret');
    const before = seen.length;
    for (const host of ['b.example', 'a.example.evil.example', 'A.EXAMPLE.'])
      await expect(ask(host)).rejects.toThrow(OutgoingRefused);
    expect(seen.length).toBe(before);
  });
});
