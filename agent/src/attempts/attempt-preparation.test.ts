import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openAiUrl, type Runtime, RuntimeError } from '../runtimes/runtime.ts';
import { AttemptRunner } from './attempt-runner.ts';

/** An engine that refuses everything, and counts what it was asked. */
let asked = 0;
const program = createServer((request, response) => {
  asked += 1;
  request.resume();
  response.writeHead(404).end('{"error":"[metal::malloc] out of memory"}');
});
beforeAll(() => new Promise<void>((resolve) => program.listen(0, '127.0.0.1', resolve)));
afterAll(() => {
  program.closeAllConnections();
  program.close();
});

const attempt = (options: { prepare?: () => Promise<void>; runtime?: Partial<Runtime>; firstContentMs?: number }) => {
  asked = 0;
  const sent: unknown[] = [];
  const base = new URL(`http://127.0.0.1:${(program.address() as AddressInfo).port}`);
  const runtime = { endpoint: (route: 'completions') => ({ url: openAiUrl(base, route), headers: {} }), ...options.runtime };
  const runner = new AttemptRunner({
    start: {
      type: 'attempt.start',
      attemptId: 'a',
      requestId: 'r',
      stream: 1,
      route: 'completions',
      model: 'm',
      bodyBytes: 2,
      windowBytes: 1_000,
      deadlines: { firstContentMs: options.firstContentMs ?? 4_000, stallMs: 4_000, totalMs: 4_000 },
    },
    runtime: runtime as unknown as Runtime,
    sink: { send: (message) => sent.push(message), sendData: () => {} },
    ...(options.prepare ? { prepare: options.prepare } : {}),
    log: pino({ level: 'silent' }),
  });
  runner.receiveBody(new TextEncoder().encode('{}'), true);
  return { runner, sent };
};

describe('an attempt on a cold model', () => {
  it('asks the engine only when the model is there', async () => {
    const load = Promise.withResolvers<void>();
    const { runner } = attempt({ prepare: () => load.promise });
    await new Promise((resolve) => setImmediate(resolve));
    expect(asked).toBe(0);
    load.resolve();
    await runner.ended;
    expect(asked).toBe(1);
  });

  it('fails as the load fails, and asks nothing', async () => {
    const { runner, sent } = attempt({ prepare: () => Promise.reject(new RuntimeError('out_of_memory', 'no room')) });
    await runner.ended;
    expect(sent).toMatchObject([{ type: 'attempt.fail', code: 'out_of_memory' }]);
    expect(asked).toBe(0);
  });

  it('can be stopped while it waits, and leaves the load to others', async () => {
    const { runner, sent } = attempt({ prepare: () => new Promise(() => {}) });
    runner.stop('canceled', 'gone');
    await runner.ended;
    expect(sent).toMatchObject([{ type: 'attempt.fail', code: 'canceled' }]);
  });

  it('has no more time for its first word than any other', async () => {
    const { runner, sent } = attempt({ prepare: () => new Promise(() => {}), firstContentMs: 20 });
    await runner.ended;
    expect(sent).toMatchObject([{ type: 'attempt.fail', code: 'first_token_timeout' }]);
  });
});

describe('a refusal', () => {
  it('means what everybody means by it, unless the runtime knows better', async () => {
    const usual = attempt({});
    await usual.runner.ended;
    expect(usual.sent).toMatchObject([{ code: 'out_of_memory' }]);
    const special = attempt({ runtime: { classifyError: () => 'engine_overloaded' } });
    await special.runner.ended;
    expect(special.sent).toMatchObject([{ code: 'engine_overloaded' }]);
  });
});
