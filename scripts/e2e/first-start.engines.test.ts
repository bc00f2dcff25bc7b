import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ensureTinyModels } from '../engines/gguf.ts';
import { findOllama, importGguf } from '../engines/ollama.ts';
import { RunningEngine } from '../engines/running-engine.ts';
import { freePort } from './fleet.ts';
import { Program } from './program.ts';

const LAI = join(import.meta.dirname, '..', '..', 'coordinator', 'dist', 'lai.js');
const found = await findOllama();
const program = 'path' in found ? found.path : '';
const title =
  'path' in found ? `a first start beside a real Ollama (${found.version})` : `SKIPPED, no Ollama here: ${found.missing}`;

describe.skipIf('missing' in found)(title, { timeout: 120_000 }, () => {
  let dir: string;
  let engine: RunningEngine;
  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'lai-first-'));
    engine = await RunningEngine.start({
      program,
      args: ['serve'],
      path: '/api/version',
      env: { OLLAMA_HOST: '127.0.0.1:{port}', OLLAMA_MODELS: join(dir, 'store'), OLLAMA_NO_CLOUD: '1', HOME: dir },
    });
  }, 60_000);
  afterAll(async () => {
    await engine?.kill();
    rmSync(dir, { recursive: true, force: true });
  });

  const first = async (more: Record<string, string> = {}) => {
    const lai = new Program('lai up', [LAI, 'up', '--once'], {
      ...{
        LAI_PORT: String(await freePort()),
        LAI_LOCAL_PORT: '0',
        LAI_DATA_DIR: mkdtempSync(join(dir, 'data-')),
        NO_COLOR: '1',
      },
      ...{ LAI_RUNTIME: 'auto', LAI_OLLAMA_URL: engine.url, HOME: dir },
      ...more,
    });
    return { code: await lai.exited, text: lai.text };
  };

  it('says that there is no model, then that there are only embeddings, then answers', async () => {
    const none = await first();
    expect(none.text).toMatch(/^Ollama \S+ runs and has no model yet\. Bring one: lai pull/m);
    const models = ensureTinyModels(join(dir, 'files'));
    await importGguf({ url: engine.url, model: 'tiny-embed', file: models.embed, signal: AbortSignal.timeout(30_000) });
    const embeddings = await first();
    expect(embeddings.text).toMatch(/^Ollama \S+ has no model that can chat, only tiny-embed/m);
    await importGguf({ url: engine.url, model: 'tiny-chat', file: models.chat, signal: AbortSignal.timeout(30_000) });
    const answered = await first();
    expect(answered.text).toMatch(/— served by \S+ with tiny-chat\S*; first token after/);
    expect([none.code, embeddings.code, answered.code]).toEqual([1, 1, 0]);
    for (const { text } of [none, embeddings, answered]) expect(text).not.toContain('SIMULATED');
  });

  it('says that the Ollama it was told of is away', async () => {
    const { code, text } = await first({
      LAI_RUNTIME: 'ollama',
      LAI_OLLAMA_MODE: 'adopt',
      LAI_OLLAMA_URL: `http://127.0.0.1:${await freePort()}`,
    });
    expect(text).toContain('Ollama does not answer where it is expected. Start it: ollama serve');
    expect(code).toBe(1);
  });
});
