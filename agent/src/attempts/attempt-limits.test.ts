import { createServer } from 'node:http';
import { type AddressInfo, createServer as createNetServer } from 'node:net';
import { MAX_EVENT_BYTES } from '@lai/shared/protocol/codec';
import { expect, it, onTestFinished } from 'vitest';
import { openAiUrl, type Runtime } from '../runtimes/runtime.ts';
import { TrialAttempt } from './trial-attempt.ts';

it('ends an attempt whose engine never ends its event', async () => {
  let said = 0;
  const closed = Promise.withResolvers<void>();
  const engine = createServer((request, response) => {
    request.resume();
    response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: {"choices":[{"delta":{"content":"');
    const piece = 'x'.repeat(64 * 1024);
    const go = () => {
      while (response.write(piece)) said += piece.length;
    };
    response.on('drain', go).on('close', closed.resolve);
    go();
  });
  await new Promise<void>((resolve) => engine.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    engine.closeAllConnections();
    engine.close();
  });
  const base = new URL(`http://127.0.0.1:${(engine.address() as AddressInfo).port}`);
  const runtime = { endpoint: (route: 'chat.completions') => ({ url: openAiUrl(base, route), headers: {} }) };
  const attempt = new TrialAttempt({
    runtime: runtime as unknown as Runtime,
    route: 'chat.completions',
    body: { model: 'm', stream: true },
  });
  const { ending, raw } = await attempt.seen;
  expect(ending).toMatchObject({
    type: 'attempt.fail',
    code: 'engine_error',
    detail: expect.stringContaining('an event of more than'),
  });
  expect(raw).toBe('');
  await closed.promise;
  expect(said).toBeLessThan(MAX_EVENT_BYTES * 3);
});

it('is canceled, not incomplete, when its engine ends answers with their connection', async () => {
  const engine = createNetServer((socket) => {
    socket.on('error', () => {});
    const chunk = JSON.stringify({ choices: [{ index: 0, delta: { content: 'word' }, finish_reason: null }] });
    socket.once('data', () => socket.write(`HTTP/1.0 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: ${chunk}\n\n`));
  });
  await new Promise<void>((resolve) => engine.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void engine.close());
  const base = new URL(`http://127.0.0.1:${(engine.address() as AddressInfo).port}`);
  const runtime = { endpoint: (route: 'chat.completions') => ({ url: openAiUrl(base, route), headers: {} }) };
  const attempt = new TrialAttempt({
    runtime: runtime as unknown as Runtime,
    route: 'chat.completions',
    body: { model: 'm', stream: true },
  });
  await attempt.firstContent;
  attempt.stop();
  expect((await attempt.seen).ending).toMatchObject({ type: 'attempt.fail', code: 'canceled' });
});
