import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it, onTestFinished } from 'vitest';
import { TrialAttempt } from '../../agent/src/attempts/trial-attempt.ts';
import { type EngineUnderTest, runtimeConformance } from '../../agent/src/runtimes/conformance.ts';
import { MlxServer } from '../../agent/src/runtimes/mlx.ts';
import type { FleetStatus } from '../../shared/src/admin-api.ts';
import { writeHuggingFaceModel } from '../engines/hugging-face-folder.ts';
import { ensureMlx } from '../engines/mlx.ts';
import { RunningEngine } from '../engines/running-engine.ts';
import { Fleet } from './fleet.ts';

const found = await ensureMlx();
const program = 'path' in found ? found.path : '';
if ('missing' in found) console.warn(`SKIPPED: every test against a real mlx_lm.server. ${found.missing}`);
const title = 'path' in found ? `a real mlx_lm.server (${found.version})` : `SKIPPED, no mlx_lm.server here: ${found.missing}`;

const dir = mkdtempSync(join(tmpdir(), 'lai-mlx-'));
const plain = 'missing' in found ? '' : writeHuggingFaceModel(join(dir, 'tiny'));
const withTools = 'missing' in found ? '' : writeHuggingFaceModel(join(dir, 'tiny-tools'), { withTools: true });
const LIMIT_MS = 60_000;
const soon = () => AbortSignal.timeout(20_000);

/** `hub`: the folder without which the server cannot list its models. */
const start = ({ model = plain, hub = true } = {}): Promise<RunningEngine> => {
  const home = mkdtempSync(join(dir, 'home-'));
  if (hub) mkdirSync(join(home, 'hub'));
  return RunningEngine.start({
    program,
    args: ['--model', model, '--host', '127.0.0.1', '--port', '{port}'],
    path: '/health',
    env: { HF_HOME: home, HF_HUB_OFFLINE: '1' },
    // Python reads hundreds of files before it listens.
    limitMs: 90_000,
  });
};

describe.skipIf('missing' in found)(title, () => {
  let shared: Promise<RunningEngine> | undefined;
  afterAll(async () => {
    await (await shared)?.kill();
    rmSync(dir, { recursive: true, force: true });
  });

  runtimeConformance('mlx', {
    limitMs: LIMIT_MS,
    tells: { size: false, context: false },
    hasContextLimit: false,
    // It takes seconds to start, so it is started again only when a test has ended it.
    start: async (): Promise<EngineUnderTest> => {
      shared ??= start();
      const engine = await shared.catch((error: unknown) => {
        shared = undefined;
        throw error;
      });
      const kill = async () => {
        shared = undefined;
        await engine.kill();
      };
      return {
        runtime: new MlxServer({ url: engine.url }),
        chat: 'tiny',
        embedding: null,
        crash: kill,
        kill,
        close: async () => {},
      };
    },
  });

  it('says what its models can do by their templates', { timeout: LIMIT_MS }, async () => {
    const engine = await start({ model: withTools });
    onTestFinished(() => engine.kill());
    const runtime = new MlxServer({ url: engine.url });
    expect(await runtime.listModels(soon())).toEqual([
      expect.objectContaining({ id: 'tiny-tools', capabilities: ['chat', 'completion', 'tools'] }),
    ]);
    const tool = { type: 'function', function: { name: 'look', parameters: { type: 'object', properties: {} } } };
    const body = { model: 'tiny-tools', messages: [{ role: 'user', content: 'Hi.' }], stream: true, max_tokens: 3 };
    const usage = { stream_options: { include_usage: true } };
    const ask = async (more: object) =>
      (await new TrialAttempt({ runtime, route: 'chat.completions', body: { ...body, ...usage, ...more } }).seen).ending;
    const [without, withIt] = [await ask({}), await ask({ tools: [tool] })];
    if (without.type !== 'attempt.end' || withIt.type !== 'attempt.end') throw new Error('an answer was lost');
    expect(withIt.usage?.promptTokens).toBeGreaterThan((without.usage?.promptTokens ?? 0) + 50);
  });

  it('is shown with what it lacks when it has no Hugging Face cache, and serves by its readable name', {
    timeout: 120_000,
  }, async () => {
    const mute = await start({ hub: false });
    onTestFinished(() => mute.kill());
    const engine = await start();
    onTestFinished(() => engine.kill());
    const fleet = await Fleet.start({ nodes: [] });
    onTestFinished(() => fleet.stop());
    const node = (name: string, url: string) =>
      fleet.addNode({ name, models: '', agentArgs: ['--runtime', 'mlx'], agentEnv: { LAI_MLX_URL: url } });
    await Promise.all([node('mute', mute.url), node('mac', engine.url)]);
    const isThere = (name: string, { nodes }: FleetStatus) =>
      nodes.some(({ snapshot }) => snapshot?.name === name && snapshot.runtimes.some(({ state }) => state === 'ready'));
    const status = await fleet.until('both are there', (told) => isThere('mute', told) && isThere('mac', told));
    const shown = new Map(status.nodes.map(({ snapshot }) => [snapshot?.name, snapshot]));
    expect(shown.get('mute')).toMatchObject({ models: [], runtimes: [{ detail: expect.stringContaining('huggingface/hub') }] });
    expect(shown.get('mac')?.models.map(({ id }) => id)).toEqual(['tiny']);
    const answer = await fetch(`${fleet.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${fleet.key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'tiny', messages: [{ role: 'user', content: 'Hi.' }], max_tokens: 4 }),
    });
    expect(answer.status).toBe(200);
    expect(await answer.json()).toMatchObject({ choices: [{ message: { role: 'assistant' } }] });
  });
});
