/**
 * An engine simulator for load, as a program of its own: speaks as much of llama-server as the agent's mock runtime needs, and answers
 * chat requests with bytes that were serialised before. The product's own mock engine does much more and costs about as much per
 * token as what is measured here; this one's ceiling is what the rows called `direct` show.
 *
 *   node engine.ts --port 0        prints {"listening": "http://127.0.0.1:PORT"}
 */
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { parseArgs } from 'node:util';
import {
  pages,
  readWish,
  reply,
  streamHead,
  streamTail,
  streamToken,
  type Wish,
  wholeAnswer,
  wholeStream,
} from './engine-answers.ts';
import { MessageReader } from './http-message.ts';
import { TokenPace } from './token-pace.ts';

const { values } = parseArgs({ options: { port: { type: 'string', default: '0' } } });
const pace = new TokenPace();

const stream = (socket: Socket, wish: Wish): void => {
  if (wish.tps === 0) {
    socket.write(wholeStream(wish));
    return;
  }
  socket.write(streamHead);
  let left = wish.tokens;
  const speak = (): boolean => {
    if (socket.destroyed) return false;
    left -= 1;
    socket.write(streamToken);
    if (left === 0) socket.write(streamTail(wish));
    return left > 0;
  };
  if (speak()) pace.add({ speak, dueMs: performance.now() + 1_000 / wish.tps }, wish.tps);
};

const answerChat = (socket: Socket, body: string): void => {
  const wish = readWish(body);
  const speak = () => {
    if (socket.destroyed) return;
    if (wish.isStream) stream(socket, wish);
    else socket.write(wholeAnswer(wish));
  };
  if (wish.firstTokenMs > 0) setTimeout(speak, wish.firstTokenMs);
  else speak();
};

const answer = (socket: Socket, head: string, body: string): void => {
  const path = (head.split(' ', 2)[1] ?? '/').split('?')[0] ?? '/';
  if (path === '/v1/chat/completions') answerChat(socket, body);
  else if (path in pages) socket.write(reply(200, pages[path]));
  else socket.write(reply(404, { error: { message: `no ${path} here` } }));
};

const listener = createServer({ noDelay: true }, (socket) => {
  let head = '';
  let body = '';
  const reader = new MessageReader({
    isResponse: false,
    events: {
      head: (text) => {
        head = text;
        body = '';
      },
      body: (bytes) => {
        body += bytes.toString('latin1');
      },
      end: () => answer(socket, head, body),
    },
  });
  socket.on('data', (bytes: Buffer) => {
    try {
      reader.push(bytes);
    } catch {
      socket.destroy();
    }
  });
  socket.on('error', () => {});
});

listener.listen({ port: Number(values.port), host: '127.0.0.1', backlog: 2_048 }, () => {
  const { port } = listener.address() as AddressInfo;
  console.log(JSON.stringify({ listening: `http://127.0.0.1:${port}` }));
});
process.once('disconnect', () => process.exit(0));
