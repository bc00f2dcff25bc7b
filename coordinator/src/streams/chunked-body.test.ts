import { createServer, type RequestListener } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, describe, expect, it } from 'vitest';
import { ChunkedBody } from './chunked-body.ts';

const servers: { close(): void }[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

const listen = async (listener: RequestListener): Promise<number> => {
  const server = createServer(listener);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
};

const speak: RequestListener = (_, response) => {
  const body = new ChunkedBody(response);
  body.open(200, { 'content-type': 'text/event-stream' });
  body.write('data: é\n\n');
  body.write(new TextEncoder().encode('data: 2\n\n'));
  body.write('');
  body.write('x'.repeat(300));
  body.end('data: [DONE]\n\n');
};
const SAID = `data: é\n\ndata: 2\n\n${'x'.repeat(300)}data: [DONE]\n\n`;

/** Everything a server says to these bytes until it hangs up. */
const raw = async (port: number, request: string): Promise<string> => {
  const socket = connect(port, '127.0.0.1');
  socket.write(request);
  return text(socket);
};

describe('a chunked body', () => {
  it('arrives whole, and the connection is used again', async () => {
    const port = await listen(speak);
    const said = await raw(port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    expect(said.match(/HTTP\/1\.1 200 OK/g)).toHaveLength(2);
    expect(said).toMatch(/transfer-encoding: chunked/i);
    expect(said).toContain('a\r\ndata: é\n\n\r\n9\r\ndata: 2\n\n\r\n12c\r\n');
    expect(said.endsWith('e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n')).toBe(true);
    const response = await fetch(`http://127.0.0.1:${port}/`);
    expect(await response.text()).toBe(SAID);
  });

  it('ends without last words', async () => {
    const port = await listen((_, response) => {
      const body = new ChunkedBody(response);
      body.open(200, {});
      body.write('a');
      body.end('');
    });
    expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe('a');
  });

  it('is plain for an HTTP/1.0 client, which knows no chunks', async () => {
    const port = await listen(speak);
    const said = await raw(port, 'GET / HTTP/1.0\r\n\r\n');
    expect(said).not.toMatch(/transfer-encoding/i);
    expect(said.slice(said.indexOf('\r\n\r\n') + 4)).toBe(SAID);
  });

  it('waits for a reader who is slower', async () => {
    const full = Promise.withResolvers<boolean>();
    const port = await listen(async (_, response) => {
      const body = new ChunkedBody(response);
      body.open(200, {});
      const block = Buffer.alloc(1024 * 1024, 'a');
      let written = 0;
      while (body.write(block) && written < 64) written += 1;
      full.resolve(written < 64);
      response.once('drain', () => body.end('z'));
    });
    const response = await fetch(`http://127.0.0.1:${port}/`);
    expect(await full.promise).toBe(true);
    expect((await response.text()).endsWith('az')).toBe(true);
  });
});
