import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { MockEngine, MockEngineOptions } from './mock-engine.ts';
import { call, quickEngine, shapesOf, until } from './rig.ts';

interface Recorded {
  readonly engine: string;
  readonly exchanges: readonly {
    readonly title: string;
    readonly method: string;
    readonly path: string;
    readonly body?: string;
    readonly status: number;
    readonly contentType: string;
    readonly shapes: readonly string[];
  }[];
}

const TOO_LONG = 'Lily went to the park. '.repeat(400);

const engines: [file: string, options: Pick<MockEngineOptions, 'dialect' | 'models'> & Partial<MockEngineOptions>][] = [
  [
    'recorded-ollama.json',
    {
      dialect: 'ollama',
      models: 'stories=0.01GB,ctx=512,caps=chat;tiny=0.01GB;embed=0.01GB,caps=embedding;big=3.2GB;tiny2=0.01GB',
    },
  ],
  ['recorded-llama-server.json', { dialect: 'llama-server', models: 'stories260k=0.01GB,ctx=256,slots=2', isSingleModel: true }],
  [
    'recorded-llama-router.json',
    { dialect: 'llama-server', models: 'big-random=0.1GB;stories260K=0.01GB;tiny-random=0.01GB', tuning: { maxLoadedModels: 1 } },
  ],
];

describe.each(engines)('the answers have the shapes of %s', (file, options) => {
  const recorded: Recorded = JSON.parse(readFileSync(new URL(`__fixtures__/${file}`, import.meta.url), 'utf8'));
  let mock: MockEngine;

  beforeAll(async () => {
    mock = await quickEngine(options);
  });
  afterAll(() => mock.close());

  // In their order: some depend on what came before.
  it.each(recorded.exchanges)('$method $path: $title', async (exchange) => {
    const isSettled = (): boolean => mock.engine.models.every(({ phase }) => phase !== 'loading' && phase !== 'unloading');
    await until('nothing is loading or unloading', isSettled);
    const body = exchange.body?.replace('TOO LONG', TOO_LONG);
    const answer = await call(mock.url + exchange.path, body, { method: exchange.method });
    expect(answer.status).toBe(exchange.status);
    expect(answer.headers['content-type'] ?? '').toBe(exchange.contentType);
    expect(answer.headers['x-lai-simulated']).toBe('1');
    expect(shapesOf(answer.body)).toEqual(exchange.shapes);
  });
});
