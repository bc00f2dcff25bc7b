import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { readinessOf } from '@lai/shared/readiness';
import { pino } from 'pino';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { readConfig } from '../config.ts';
import { engineSources } from './engine-sources.ts';
import { Supervisor } from './supervisor.ts';

/** Answers every path with this status and body. */
const serve = async (status: number, body: string): Promise<string> => {
  const server = http.createServer((_, response) => response.writeHead(status).end(body));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
};

const NOBODY = 'http://127.0.0.1:9';

/** What a machine with these settings says about itself when its sources were asked once. */
const told = async (settings: Record<string, unknown>, programs: readonly string[] = []) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'lai-obstacle-'));
  const bin = path.join(folder, 'bin');
  mkdirSync(bin);
  for (const program of programs) {
    writeFileSync(path.join(bin, program), '#!/bin/sh\n');
    chmodSync(path.join(bin, program), 0o755);
  }
  vi.stubEnv('PATH', bin);
  const addresses = { ollamaUrl: NOBODY, vllmUrl: NOBODY, lmstudioUrl: NOBODY };
  const config = readConfig({ dataDir: folder, ...addresses, ...settings }, {});
  const sources = engineSources(config, { totalBytes: () => null, usedBytes: () => null }).filter(({ name }) => name !== 'mock');
  const supervisor = new Supervisor({
    sources,
    dataDir: folder,
    log: pino({ level: 'silent' }),
    events: {
      models: () => {},
      lost: () => {},
      changed: () => {},
      load: () => ({ inFlight: 0, isLoading: false, warmChatModel: null }),
    },
  });
  onTestFinished(async () => {
    await supervisor.close();
    vi.unstubAllEnvs();
    rmSync(folder, { recursive: true, force: true });
  });
  await supervisor.start();
  const { kind, sentence } = readinessOf({
    ...{ name: 'desk', models: [], holds: [], runtimes: supervisor.reports(), obstacles: [...supervisor.obstacles] },
  });
  return { kind, sentence: sentence.replaceAll(folder, '<data>') };
};

describe('an engine of this machine that cannot be used', () => {
  it('is an Ollama behind a password', async () => {
    expect(await told({ ollamaUrl: await serve(401, 'who are you?') })).toMatchObject({ kind: 'auth' });
  });

  it('is an Ollama that is too old to tell what it has loaded', async () => {
    const ollamaUrl = await serve(200, '{"version": "0.1.20"}');
    expect(await told({ ollamaUrl })).toMatchObject({ kind: 'too_old', sentence: expect.stringContaining('0.1.33 is needed') });
  });

  it.each(['vllmUrl', 'lmstudioUrl'])('is one at %s that wants a key', async (setting) => {
    expect(await told({ [setting]: await serve(401, '{"error": "Unauthorized"}') })).toMatchObject({ kind: 'auth' });
  });

  it.each(['auto', 'llama-server'])('is a llama-server without model files, with --runtime %s', async (runtime) => {
    expect(await told({ runtime }, ['llama-server'])).toEqual({
      kind: 'no_model_files',
      sentence: 'llama-server is installed, and <data>/models holds no .gguf file.',
    });
  });

  it('is none where there is none', async () => {
    expect(await told({})).toMatchObject({ kind: 'no_engine' });
    expect(await told({ vllmUrl: await serve(404, 'not here') })).toMatchObject({ kind: 'no_engine' });
  });

  it('is an Ollama that was asked for by name and does not answer', async () => {
    expect(await told({ runtime: 'ollama' })).toMatchObject({ kind: 'away' });
  });
});
