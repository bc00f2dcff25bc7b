import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import type { FleetStatus } from '../../shared/src/admin-api.ts';
import { AgentDoor, usedBytesAt } from './agent-door.ts';
import { Fleet } from './fleet.ts';
import { readStream } from './stream.ts';

const MODEL = 'story:1b';
const IDLE_BYTES = 400e6;

describe('a machine whose owner plays', () => {
  let fleet: Fleet;
  let door: AgentDoor;

  beforeAll(async () => {
    const node = (name: string) => ({
      name,
      // The second model is on one machine only: whoever asks for it is served there.
      models: `${MODEL}=0.5GB,slots=4,tps=50,ctx=8192,caps=chat; of-${name}=0.3GB,slots=4,tps=20,ctx=8192,caps=chat`,
      tuning: { prefillMs: 5, coldLoadMsPerGb: 100, longestTokens: 4_000 },
      agentEnv: { LAI_LOCAL_PORT: '0' },
    });
    fleet = await Fleet.start({ nodes: [node('gamer'), node('other')] });
    door = new AgentDoor(fleet, 'gamer');
  });
  afterAll(() => fleet?.stop());

  const policy = async (gaming: Record<string, unknown>) => {
    writeFileSync(join(door.dataDir, 'policy.json'), JSON.stringify({ gaming }));
    // A wish makes the agent read its policy at once.
    await door.gaming('auto');
  };
  afterEach(async () => {
    await policy({});
    await door.until('the machine is free', ({ snapshot }) => snapshot.holds.length === 0 && snapshot.preemption === null);
    await fleet.until('the fleet sees it', ({ nodes }) => nodes.every(({ snapshot }) => snapshot?.holds.length === 0));
  });

  const ask = (max_tokens: number, model = MODEL) => ({
    model,
    stream: true,
    max_tokens,
    messages: [{ role: 'user', content: 'Tell me a story.' }],
  });
  const engineUrl = () => fleet.node('gamer').engineUrl;
  const seen = async () => (await fleet.node('gamer').engineState()).requests.seen;

  /** A stream that runs on the owner's machine and has begun; `end` is what its client saw. */
  const streamOnGamer = async (max_tokens: number): Promise<{ end: ReturnType<typeof readStream> }> => {
    const { promise: begun, resolve } = Promise.withResolvers<void>();
    const end = readStream(await fleet.chat(ask(max_tokens, 'of-gamer')), () => resolve());
    await Promise.race([begun, end.then(({ errors }) => Promise.reject(new Error(JSON.stringify(errors))))]);
    return { end };
  };

  const warmOnBoth = async () => {
    await fleet.warmUp(MODEL);
    await fleet.until('both told it', ({ nodes }) => nodes.every(({ snapshot }) => snapshot?.models[0]?.state === 'warm'));
  };

  it('takes no new work, and its memory is free within 3 s', async () => {
    await warmOnBoth();
    expect(await usedBytesAt(engineUrl())).toBeGreaterThan(500e6);
    const { snapshot } = await door.gaming('on');
    expect(snapshot.holds).toMatchObject([{ kind: 'gaming', cause: 'owner' }]);
    const before = await fleet.until('the fleet sees it', ({ nodes }) =>
      nodes.some(({ snapshot: told }) => told?.name === 'gamer' && told.holds.some(({ kind }) => kind === 'gaming')),
    );
    expect(before.nodes).toHaveLength(2);
    const seenThen = await seen();
    const answers = await Promise.all(Array.from({ length: 8 }, async () => readStream(await fleet.chat(ask(3)))));
    expect(answers.every(({ isDone, errors }) => isDone && errors.length === 0)).toBe(true);
    // The unload is one request of the agent's own; nothing of the clients came.
    expect((await fleet.node('gamer').engineState()).requests.active).toBe(0);
    await door.until('it is proven', (status) => status.snapshot.preemption?.step === 'freed');
    const { preemption } = (await door.status()).snapshot;
    const freedMs = (preemption?.sinceMs ?? 0) - (preemption?.steps[0]?.atMs ?? 0);
    expect(preemption?.steps.map(({ step }) => step)).toEqual(['unloading', 'verifying', 'freed']);
    expect(preemption?.steps.at(-1)?.detail).toContain('GPU');
    expect(await usedBytesAt(engineUrl())).toBeLessThan(IDLE_BYTES);
    console.log(`gaming on: memory proven free after ${freedMs} ms`);
    expect(freedMs).toBeLessThan(3_000);
    expect(await seen()).toBeLessThanOrEqual(seenThen + 1);
  });

  it('lets running answers finish, ends those that take too long honestly, and is free within 13 s', async () => {
    const long = [await streamOnGamer(3_000), await streamOnGamer(3_000)];
    const short = await streamOnGamer(40);
    const askedAtMs = performance.now();
    await door.gaming('on');
    await door.until('it waits for them', ({ snapshot }) => snapshot.preemption?.step === 'finishing');
    expect(await short.end).toMatchObject({ isDone: true, errors: [] });
    const cut = await Promise.all(long.map(({ end }) => end));
    for (const { errors, content } of cut) {
      expect(content).not.toBe('');
      expect(errors).toMatchObject([{ code: 'preempted' }]);
    }
    await door.until('it is proven', ({ snapshot }) => snapshot.preemption?.step === 'freed', 5_000);
    const freedMs = performance.now() - askedAtMs;
    console.log(`gaming on while busy: memory proven free after ${Math.round(freedMs)} ms`);
    expect(freedMs).toBeGreaterThan(9_900);
    expect(freedMs).toBeLessThan(13_000);
    expect(await usedBytesAt(engineUrl())).toBeLessThan(IDLE_BYTES);
    expect((await fleet.node('gamer').engineState()).tokens.afterAbort).toBeLessThanOrEqual(cut.length);
  });

  it('cuts answers short at once when its owner wants it so, and what had not begun is answered elsewhere', async () => {
    await policy({ whileBusy: 'cancel' });
    await warmOnBoth();
    // Six of them, and four slots on each: some begin here.
    const prefill = (prefillMs: number) => Promise.all(fleet.nodes.map((node) => node.control('set', { prefillMs })));
    await prefill(1_500);
    onTestFinished(async () => void (await prefill(5)));
    const responses = Array.from({ length: 6 }, async () => {
      const response = await fleet.chat(ask(5));
      return { attempts: response.headers.get('x-lai-attempts'), ...(await readStream(response)) };
    });
    await expect.poll(async () => (await fleet.node('gamer').engineState()).requests.active).toBeGreaterThan(0);
    await door.gaming('on');
    const answers = await Promise.all(responses);
    expect(answers.every(({ isDone, errors }) => isDone && errors.length === 0)).toBe(true);
    expect(answers.map(({ attempts }) => attempts)).toContain('2');
    await door.until('it is proven', ({ snapshot }) => snapshot.preemption?.step === 'freed', 5_000);
  });

  it('is known to the whole fleet within 100 ms', async () => {
    const isHeld = ({ nodes }: FleetStatus) =>
      nodes.some(({ snapshot }) => snapshot?.name === 'gamer' && snapshot.holds.some(({ kind }) => kind === 'gaming'));
    const told: number[] = [];
    for (let toggle = 0; toggle < 5; toggle += 1) {
      const askedAtMs = performance.now();
      await door.gaming('on');
      await fleet.until('the fleet sees it', isHeld);
      told.push(performance.now() - askedAtMs);
      await door.gaming('off');
      await fleet.until('the fleet sees that it is over', (status) => !isHeld(status));
    }
    console.log(`gaming on: the fleet knew after ${told.map(Math.round).join(', ')} ms`);
    // The best of them, because a machine that is busy with something else is late for reasons of its own.
    expect(Math.min(...told)).toBeLessThan(100);
  });

  it('comes back by itself when the time is over', async () => {
    await door.gaming('on', '1s');
    await door.until('it is free again', ({ snapshot }) => snapshot.holds.length === 0);
    await fleet.until('it is warm again', ({ nodes }) => nodes.every(({ snapshot }) => snapshot?.holds.length === 0));
    expect(await (await streamOnGamer(3)).end).toMatchObject({ isDone: true, errors: [] });
  });

  it('stops everything on demand and takes new work right after', async () => {
    const { end } = await streamOnGamer(3_000);
    await door.stopAll();
    expect(await end).toMatchObject({ errors: [{ code: 'preempted' }] });
    await door.until(
      'nothing runs and nothing is held',
      ({ snapshot }) => snapshot.inFlight === 0 && snapshot.holds.length === 0,
      5_000,
    );
    expect(await usedBytesAt(engineUrl())).toBeLessThan(IDLE_BYTES);
    expect(await (await streamOnGamer(3)).end).toMatchObject({ isDone: true, errors: [] });
  });

  it('notices a game that begins and one that ends', async () => {
    await policy({ enterMs: 100, leaveMs: 100, games: ['lai-fake-game'] });
    const game = fakeGame(fleet.directory, 'lai-fake-game');
    await door.until('it is held', ({ snapshot }) => snapshot.holds[0]?.cause === 'lai-fake-game');
    game.kill('SIGKILL');
    await door.until('it is free', ({ snapshot }) => snapshot.holds.length === 0);
  });

  it('notices a game that Steam starts', async () => {
    await policy({ enterMs: 100, leaveMs: 100 });
    const game = spawn('sh', ['-c', 'sleep 60; :', 'SteamLaunch', 'AppId=730', '--'], { stdio: 'ignore', detached: true });
    await door.until('it is held', ({ snapshot }) => snapshot.holds[0]?.cause === 'Steam app 730');
    // The owner's word wins.
    await door.gaming('off');
    await door.until('it is free', ({ snapshot }) => snapshot.holds.length === 0, 2_000);
    process.kill(-(game.pid ?? 0), 'SIGKILL');
    await door.gaming('auto');
    await door.until('the game is over', ({ snapshot }) => snapshot.holds.length === 0);
  });

  it('is in the right state after 100 toggles in random order', { timeout: 120_000 }, async () => {
    await policy({ graceMs: 200 });
    const modes = ['on', 'off', 'auto'] as const;
    let stop = false;
    const load = (async () => {
      while (!stop) await readStream(await fleet.chat(ask(3)));
    })();
    for (let toggle = 0; toggle < 100; toggle += 1) {
      const mode = modes[Math.floor(Math.random() * modes.length)] ?? 'auto';
      const { snapshot } = await door.gaming(mode);
      expect(snapshot.gaming).toMatchObject({ mode, isActive: mode === 'on' });
      expect(snapshot.holds.some(({ kind }) => kind === 'gaming')).toBe(mode === 'on');
      await pause(Math.random() * 60);
    }
    stop = true;
    await load;
    await door.gaming('on');
    await door.until('the memory is free', ({ snapshot }) => snapshot.preemption?.step === 'freed', 5_000);
    expect(await usedBytesAt(engineUrl())).toBeLessThan(IDLE_BYTES);
    await door.gaming('off');
    await door.until('everything is back', ({ snapshot }) => snapshot.preemption === null && snapshot.holds.length === 0, 5_000);
    expect(await (await streamOnGamer(3)).end).toMatchObject({ isDone: true, errors: [] });
  });
});

/** A program of a game's name that does nothing. */
const fakeGame = (directory: string, name: string): ChildProcess => {
  mkdirSync(join(directory, 'games'), { recursive: true });
  symlinkSync('/bin/sleep', join(directory, 'games', name));
  const game = spawn(join(directory, 'games', name), ['60'], { stdio: 'ignore' });
  onTestFinished(() => void game.kill('SIGKILL'));
  return game;
};
