import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { writeModel } from '../engines/gguf.ts';
import { AgentDoor } from './agent-door.ts';
import { Fleet, freePort, type NodeSpec } from './fleet.ts';
import { Program } from './program.ts';
import { readStream } from './stream.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const MOCK_ENGINE = join(ROOT, 'agent', 'dist', 'lai-mock-engine.js');
const AGENT = join(ROOT, 'agent', 'dist', 'lai-agent.js');
const MODEL = 'story';

/** PATH with a `llama-server` that is the mock engine, or whatever else the script says, and none of the machine's own engines. */
const binWith = (folder: string, script: string): string => {
  const bin = join(folder, 'bin');
  mkdirSync(bin, { recursive: true });
  writeFileSync(join(bin, 'llama-server'), `#!/bin/sh\n${script}\n`);
  chmodSync(join(bin, 'llama-server'), 0o755);
  return `${bin}:/usr/bin:/bin`;
};

const MOCK_AS_LLAMA_SERVER = `while [ "$1" != --port ]; do shift; done
exec '${process.execPath}' '${MOCK_ENGINE}' --dialect llama-server --port "$2" --name owned --vram-gb 8 --allow-faults \\
  --models '${MODEL}=0.3GB,slots=2,tps=50,caps=chat'`;

/** A zombie that nobody has buried yet holds nothing any more. */
const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return !existsSync(`/proc/${pid}/stat`) || !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return false;
  }
};

describe('an agent with engines of its own', () => {
  let fleet: Fleet;
  let folder: string;

  beforeAll(async () => {
    fleet = await Fleet.start({ nodes: [] });
    folder = fleet.directory;
  });
  afterAll(() => fleet?.stop());
  afterEach(async () => {
    for (const node of fleet.nodes.splice(0)) {
      node.agent.kill('SIGTERM');
      await node.agent.exited;
      node.engine?.kill('SIGKILL');
    }
  });

  /** One node whose only engine is what `script` makes of llama-server. */
  const addOwned = async (name: string, script: string, spec: Partial<NodeSpec> = {}) => {
    const models = join(folder, `${name}-models`);
    mkdirSync(models);
    writeModel(join(models, `${MODEL}.gguf`), { name: MODEL });
    await fleet.addNode({
      name,
      models: '',
      agentArgs: ['--runtime', 'llama-server', '--models-dir', models],
      agentEnv: { LAI_LOCAL_PORT: '0', PATH: binWith(join(folder, name), script) },
      ...spec,
    });
    return new AgentDoor(fleet, name);
  };
  const ready = (door: AgentDoor) =>
    door.until('the engine is ready', ({ engines }) => engines[0]?.phase === 'ready').then(({ engines }) => engines[0]?.pid ?? 0);
  /** Asked once the fleet knows of the model; answered whole. */
  const expectToServe = async (name: string) => {
    await fleet.until(`${name} offers the model`, ({ nodes }) =>
      nodes.some(
        ({ snapshot, liveness }) =>
          snapshot?.name === name && liveness === 'alive' && snapshot.models.length === 1 && snapshot.holds.length === 0,
      ),
    );
    const response = await fleet.chat({
      model: MODEL,
      stream: true,
      max_tokens: 3,
      messages: [{ role: 'user', content: 'Hi.' }],
    });
    expect(await readStream(response)).toMatchObject({ isDone: true, errors: [] });
  };

  it('restarts an engine that is killed, and serves again', async () => {
    const door = await addOwned('phoenix', MOCK_AS_LLAMA_SERVER);
    const pid = await ready(door);
    await expectToServe('phoenix');
    process.kill(pid, 'SIGKILL');
    await door.until('it is missed', ({ engines }) => engines[0]?.pid !== pid);
    expect(await ready(door)).not.toBe(pid);
    await expectToServe('phoenix');
  });

  it('ends what it left behind when it was killed itself', async () => {
    const door = await addOwned('orphans', MOCK_AS_LLAMA_SERVER);
    const pid = await ready(door);
    const agent = fleet.node('orphans').agent;
    agent.kill('SIGKILL');
    await agent.exited;
    expect(isAlive(pid)).toBe(true);
    await fleet.restartAgent('orphans');
    const next = await ready(door);
    expect(next).not.toBe(pid);
    expect(isAlive(pid)).toBe(false);
  });

  it('takes its engine along when it is told to stop', async () => {
    const door = await addOwned('tidy', MOCK_AS_LLAMA_SERVER);
    const pid = await ready(door);
    const agent = fleet.node('tidy').agent;
    agent.kill('SIGTERM');
    expect(await agent.exited).toBe(0);
    expect(isAlive(pid)).toBe(false);
  });

  it('leaves an engine alone that dies again and again, and says why', async () => {
    const door = await addOwned('crashing', 'echo "CUDA error: no kernel image" >&2; exit 9');
    const { engines, snapshot } = await door.until(
      'it is quarantined',
      (status) => status.engines[0]?.phase === 'quarantined',
      40_000,
    );
    expect(engines[0]?.reason).toMatch(/died 5 times.*exit code 9.*no kernel image/);
    expect(snapshot.runtimes).toMatchObject([{ kind: 'llama-server', state: 'failed' }]);
    const doctor = new Program('doctor', [AGENT, 'doctor', '--json', '--data-dir', door.dataDir]);
    expect(await doctor.exited).toBe(1);
    expect(doctor.text).toContain('engine.quarantined');
    const logs = new Program('logs', [AGENT, 'logs', 'llama-server', '--data-dir', door.dataDir]);
    expect(await logs.output()).toContain('CUDA error');
  });

  it('stops an engine that does not give the GPU back, and starts it again after the game', async () => {
    const door = await addOwned('stubborn', MOCK_AS_LLAMA_SERVER);
    const pid = await ready(door);
    await expectToServe('stubborn');
    const port = /--port (\d+)/.exec(
      await new Program('logs', [AGENT, 'logs', 'llama-server', '--data-dir', door.dataDir]).output(),
    )?.[1];
    await fetch(`http://127.0.0.1:${port}/_mock/fault`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ kind: 'stuck-unload', times: 0 }),
    });
    const askedAtMs = performance.now();
    await door.gaming('on');
    const { snapshot, engines } = await door.until(
      'the GPU is free',
      (status) => status.snapshot.preemption?.step === 'freed',
      6_000,
    );
    console.log(`a stuck engine was stopped for the game after ${Math.round(performance.now() - askedAtMs)} ms`);
    expect(snapshot.preemption?.steps.map(({ step }) => step)).toEqual(['unloading', 'stopping_engine', 'freed']);
    expect(engines[0]).toMatchObject({ phase: 'stopped', reason: 'the owner needs the GPU' });
    expect(isAlive(pid)).toBe(false);
    await door.gaming('off');
    expect(await ready(door)).not.toBe(pid);
    await expectToServe('stubborn');
  });

  it('connects anew after the machine slept', { timeout: 90_000 }, async () => {
    await addOwned('sleeper', MOCK_AS_LLAMA_SERVER);
    const { agent } = fleet.node('sleeper');
    await agent.until(/connected/);
    // A process that stands still for seconds sees of its clocks what a sleeping machine sees.
    agent.kill('SIGSTOP');
    await pause(8_500);
    agent.kill('SIGCONT');
    await agent.until(/the machine slept/, 5_000);
    await expectToServe('sleeper');
  });
});

describe('an agent that finds its engines', () => {
  let fleet: Fleet;
  afterAll(() => fleet?.stop());

  const ollama = (port: number) =>
    new Program('ollama', [
      MOCK_ENGINE,
      ...['--dialect', 'ollama', '--port', String(port), '--name', 'desk'],
      ...['--models', 'llama3.2:3b=0.2GB,slots=1,tps=50,caps=chat'],
    ]);

  it('stands in with a simulated engine, adopts an Ollama that comes, misses it, and welcomes it back', {
    timeout: 120_000,
  }, async () => {
    const port = await freePort();
    fleet = await Fleet.start({ nodes: [] });
    await fleet.addNode({
      name: 'desk',
      models: '',
      agentArgs: ['--ollama-url', `http://127.0.0.1:${port}`],
      agentEnv: { LAI_LOCAL_PORT: '0', PATH: '/usr/bin:/bin' },
    });
    const door = new AgentDoor(fleet, 'desk');
    const before = await door.until(
      'the stand-in is ready, with its GPU',
      ({ snapshot }) => snapshot.runtimes[0]?.state === 'ready' && snapshot.gpus.length > 0,
    );
    expect(before.snapshot.runtimes).toMatchObject([{ kind: 'mock', isSimulated: true }]);
    expect(before.snapshot.gpus).toMatchObject([{ vendor: 'simulated' }]);
    const standIn = before.engines[0]?.pid ?? 0;

    const first = ollama(port);
    await first.until(/listening/);
    const adopted = await door.until(
      'Ollama is adopted and the stand-in gone',
      ({ snapshot }) =>
        snapshot.runtimes.length === 1 && snapshot.runtimes[0]?.kind === 'ollama' && snapshot.runtimes[0].state === 'ready',
    );
    expect(adopted.snapshot.runtimes).toMatchObject([{ mode: 'adopted', isSimulated: false }]);
    await door.until(
      'its model is told as its own',
      ({ snapshot }) => snapshot.models.length === 1 && snapshot.models[0]?.runtime === 'ollama',
    );
    await door.until('so is its simulated GPU', ({ snapshot }) => snapshot.gpus.every(({ vendor }) => vendor !== 'simulated'));
    await expect.poll(() => isAlive(standIn)).toBe(false);

    first.kill('SIGKILL');
    await first.exited;
    const away = await door.until('it is missed', ({ snapshot }) => snapshot.runtimes[0]?.state === 'failed');
    expect(away.engines).toMatchObject([{ name: 'ollama', phase: 'away', reason: 'it went away' }]);
    // Nobody is answered by a simulation because Ollama restarts.
    await pause(6_000);
    expect((await door.status()).engines.map(({ name }) => name)).toEqual(['ollama']);

    const second = ollama(port);
    await door.until('it is back', ({ snapshot }) => snapshot.runtimes[0]?.state === 'ready');
    await fleet.node('desk').agent.until(/engine came back/);

    // Not ours to stop: it outlives us.
    fleet.node('desk').agent.kill('SIGTERM');
    await fleet.node('desk').agent.exited;
    expect((await fetch(`http://127.0.0.1:${port}/api/version`)).ok).toBe(true);
    second.kill('SIGKILL');
    await second.exited;
  });
});
