/** The plainest HTTP proxy that Node can be: what relaying costs when nothing is decided, counted, queued or authorised. */
import { Agent, createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';

const engine = new URL(process.argv[2] ?? '');
const connections = new Agent({ keepAlive: true, maxFreeSockets: 1_024 });

const listener = createServer({ noDelay: true }, (incoming, outgoing) => {
  const onward = request(
    {
      host: engine.hostname,
      port: engine.port,
      path: incoming.url,
      method: incoming.method,
      headers: { ...incoming.headers, host: engine.host },
      agent: connections,
    },
    (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    },
  );
  onward.on('error', () => (outgoing.headersSent ? outgoing.destroy() : outgoing.writeHead(502).end()));
  outgoing.on('close', () => onward.destroy());
  incoming.pipe(onward);
});
listener.listen({ port: 0, host: '127.0.0.1', backlog: 2_048 }, () =>
  console.log(JSON.stringify({ listening: `http://127.0.0.1:${(listener.address() as AddressInfo).port}` })),
);
