import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ensureSteadyModel } from '../engines/gguf.ts';
import { ensureLlamaServer } from '../engines/llama-server.ts';
import { AgentDoor } from './agent-door.ts';
import { Fleet } from './fleet.ts';
import { readStream } from './stream.ts';

const found = await ensureLlamaServer();
if ('missing' in found) console.warn(`SKIPPED: gaming with a real llama-server. ${found.missing}`);
const title = 'path' in found ? `a game beside a real llama-server (${found.version})` : `SKIPPED: ${found.missing}`;
const MODEL = 'steady';

describe.skipIf('missing' in found)(title, () => {
  let fleet: Fleet;
  let door: AgentDoor;
  const dir = mkdtempSync(join(tmpdir(), 'lai-game-'));
  const models = join(dir, 'models');

  beforeAll(async () => {
    mkdirSync(models);
    ensureSteadyModel(models);
    // A card whose memory is held by the real processes of the engine.
    mkdirSync(join(dir, 'bin'));
    symlinkSync(join(import.meta.dirname, 'stand-in-nvidia-smi.mjs'), join(dir, 'bin', 'nvidia-smi'));
    const path = [
      join(dir, 'bin'),
      dirname('path' in found ? found.path : ''),
      dirname(process.execPath),
      '/usr/bin',
      '/bin',
    ].join(delimiter);
    fleet = await Fleet.start({
      nodes: [
        {
          name: 'gamer',
          models: '',
          agentArgs: ['--runtime', 'llama-server', '--models-dir', models],
          agentEnv: { LAI_LOCAL_PORT: '0', PATH: path, LAI_TEST_MODELS_DIR: models },
        },
      ],
    });
    door = new AgentDoor(fleet, 'gamer');
  });
  afterAll(async () => {
    for (const { agent } of fleet?.nodes ?? []) {
      agent.kill('SIGTERM');
      await agent.exited;
    }
    await fleet?.stop();
    rmSync(dir, { recursive: true, force: true });
  });

  /** Resolves with the first token, to the promise of the whole. */
  const begin = async (max_tokens: number) => {
    await fleet.until('the model is offered', ({ nodes }) =>
      nodes.every(({ snapshot }) => snapshot?.models.length === 1 && snapshot.holds.length === 0),
    );
    const { promise: begun, resolve } = Promise.withResolvers<void>();
    const end = readStream(
      await fleet.chat({
        model: MODEL,
        stream: true,
        max_tokens,
        temperature: 1,
        messages: [{ role: 'user', content: 'Tell me a story.' }],
      }),
      () => resolve(),
    );
    await Promise.race([begun, end.then(({ errors }) => Promise.reject(new Error(JSON.stringify(errors))))]);
    return { end };
  };
  const stream = async (max_tokens: number) => (await begin(max_tokens)).end;
  const usedMib = async () => ((await door.status()).snapshot.gpus[0]?.vramUsedBytes ?? 0) / 1024 ** 2;
  const freed = async () => {
    const { snapshot } = await door.until('the memory is free', (status) => status.snapshot.preemption?.step === 'freed', 13_500);
    const { steps = [], sinceMs = 0 } = snapshot.preemption ?? {};
    return { steps: steps.map(({ step }) => step), detail: steps.at(-1)?.detail, afterMs: sinceMs - (steps[0]?.atMs ?? 0) };
  };
  const back = async () => {
    await door.gaming('off');
    await door.until('it is free', ({ snapshot }) => snapshot.holds.length === 0 && snapshot.preemption === null);
    expect(await stream(3)).toMatchObject({ isDone: true, errors: [] });
  };

  it('gets its memory within 3 s when nothing runs, by the GPU’s own reading, without ending the engine', async () => {
    await stream(3);
    const { engines } = await door.until('the model is warm', ({ snapshot }) => snapshot.models[0]?.state === 'warm');
    await expect.poll(usedMib, { timeout: 8_000 }).toBeGreaterThan(1_000);
    await door.gaming('on');
    const { steps, detail, afterMs } = await freed();
    console.log(`real llama-server, idle: memory proven free after ${afterMs} ms (${detail})`);
    expect(steps).toEqual(['unloading', 'verifying', 'freed']);
    expect(detail).toContain('GPU');
    expect(afterMs).toBeLessThan(3_000);
    await expect.poll(usedMib, { timeout: 8_000 }).toBeLessThan(400);
    expect((await door.status()).engines[0]?.pid).toBe(engines[0]?.pid);
    await back();
  });

  it('gets it within 13 s when it is busy, and the client is told why', async () => {
    const { end } = await begin(1_000_000);
    await door.gaming('on');
    const { afterMs } = await freed();
    console.log(`real llama-server, busy: memory proven free after ${afterMs} ms`);
    expect(afterMs).toBeLessThan(13_000);
    const seen = await end;
    if (!seen.isDone) expect(seen.errors).toMatchObject([{ code: 'preempted' }]);
    await back();
  });
});
