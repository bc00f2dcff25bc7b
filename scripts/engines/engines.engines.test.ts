/** That the engines our tests lean on are real and load the models we write. What adapters make of them is tested elsewhere. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { env } from 'node:process';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { ensureTinyModels } from './gguf.ts';
import { findLlamaServer } from './llama-server.ts';
import { findOllama, importGguf } from './ollama.ts';

const dir = mkdtempSync(join(tmpdir(), 'lai engines '));
const models = ensureTinyModels(join(dir, 'models'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

let engine: ChildProcess | undefined;
afterEach(async () => {
  if (engine === undefined || engine.exitCode !== null) return;
  const ended = new Promise((resolve) => engine?.once('exit', resolve));
  engine.kill('SIGTERM');
  await ended;
});

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const address = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

/** Starts an engine and waits until `path` answers 200. */
async function start(
  command: string,
  args: string[],
  at: { port: number; path: string; env?: Record<string, string> },
): Promise<string> {
  let log = '';
  engine = spawn(command, args, { env: { ...env, ...at.env }, stdio: ['ignore', 'pipe', 'pipe'] });
  engine.stdout?.on('data', (chunk) => (log += chunk));
  engine.stderr?.on('data', (chunk) => (log += chunk));
  const url = `http://127.0.0.1:${at.port}`;
  const deadline = Date.now() + 40_000;
  while (Date.now() < deadline && engine.exitCode === null) {
    const answer = await fetch(url + at.path).catch(() => undefined);
    if (answer?.ok) return url;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${command} did not become ready:\n${log.slice(-2000)}`);
}

async function post(url: string, body: unknown): Promise<Record<string, unknown>> {
  const answer = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  expect(answer.status).toBe(200);
  return (await answer.json()) as Record<string, unknown>;
}

const chat = (model: string) => ({
  model,
  messages: [{ role: 'user', content: 'cold rain' }],
  max_tokens: 12,
  temperature: 1,
  seed: 1,
});
const aChatAnswer = {
  choices: [{ message: { role: 'assistant', content: expect.stringMatching(/\S/) }, finish_reason: 'length' }],
  usage: { completion_tokens: 12 },
};
const embeddingOf = (answer: Record<string, unknown>) => (answer['data'] as { embedding: number[] }[])[0]?.embedding;

const llama = await findLlamaServer();
describe.skipIf('missing' in llama)(`llama-server ${'version' in llama ? llama.version : `(${llama.missing})`}`, () => {
  const program = 'path' in llama ? llama.path : '';
  const common = ['--host', '127.0.0.1', '-t', '1', '-c', '512', '--offline', '--no-ui'];

  it('loads the chat model and answers with as many tokens as asked', async () => {
    const port = await freePort();
    const url = await start(program, [...common, '--port', `${port}`, '-m', models.chat], { port, path: '/health' });
    expect(await post(`${url}/v1/chat/completions`, chat('tiny-chat'))).toMatchObject(aChatAnswer);
  });

  it('embeds with the embedding model', async () => {
    const port = await freePort();
    const url = await start(program, [...common, '--port', `${port}`, '-m', models.embed, '--embeddings'], {
      port,
      path: '/health',
    });
    expect(embeddingOf(await post(`${url}/v1/embeddings`, { input: 'cold rain' }))).toHaveLength(64);
  });

  it('loads a model on demand in router mode, where it starts itself again', async () => {
    const port = await freePort();
    const url = await start(program, [...common, '--port', `${port}`, '--models-dir', join(dir, 'models')], {
      port,
      path: '/health',
    });
    expect(await post(`${url}/v1/chat/completions`, chat('tiny-chat'))).toMatchObject(aChatAnswer);
  });
});

const ollama = await findOllama();
describe.skipIf('missing' in ollama)(`Ollama ${'version' in ollama ? ollama.version : `(${ollama.missing})`}`, () => {
  it('imports our models, chats with one and embeds with the other', async () => {
    const port = await freePort();
    const url = await start('path' in ollama ? ollama.path : '', ['serve'], {
      port,
      path: '/api/version',
      env: { OLLAMA_HOST: `127.0.0.1:${port}`, OLLAMA_MODELS: join(dir, 'ollama'), OLLAMA_NO_CLOUD: '1', HOME: dir },
    });
    const signal = AbortSignal.timeout(30_000);
    await importGguf({ url, model: 'tiny-chat', file: models.chat, signal });
    await importGguf({ url, model: 'tiny-embed', file: models.embed, signal });
    expect(await post(`${url}/v1/chat/completions`, chat('tiny-chat'))).toMatchObject(aChatAnswer);
    expect(embeddingOf(await post(`${url}/v1/embeddings`, { model: 'tiny-embed', input: 'cold rain' }))).toHaveLength(64);
  });
});
