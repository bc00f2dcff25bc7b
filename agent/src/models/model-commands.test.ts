import type { AgentMessage } from '@lai/shared/protocol/agent-message';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { RuntimeError } from '../runtimes/runtime.ts';
import { ModelCommands } from './model-commands.ts';
import { Models } from './models.ts';
import { Pulls } from './pulls.ts';
import { model, ScriptedRuntime } from './scripted-runtime.ts';

const log = pino({ level: 'silent' });

const setUp = ({ holds = [] as string[] } = {}) => {
  const runtime = new ScriptedRuntime();
  runtime.listed = [model('m'), model('warm', { isLoaded: true })];
  const models = new Models({ maxConcurrent: 4, onChange: () => {}, log });
  models.observe(runtime, runtime.listed);
  const pulls = new Pulls({
    runtimes: () => models.runtimes(),
    allowed: ['*'],
    onPulled: (pulledBy) => models.refresh(pulledBy),
    onChange: () => {},
    log,
  });
  const sent: (AgentMessage | 'snapshot')[] = [];
  const commands = new ModelCommands({
    models,
    pulls,
    holdsAgainst: (isForced) => (isForced ? [] : holds),
    send: (message) => sent.push(message),
    reportFirst: () => sent.push('snapshot'),
    log,
  });
  const results = () => sent.filter((message) => message !== 'snapshot' && message.type === 'command.result');
  const result = () => vi.waitFor(() => expect(results()).toHaveLength(1)).then(() => results()[0]);
  return { runtime, models, commands, sent, result };
};

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

describe('a command about a model', () => {
  it('is answered when it begins and when it is done, the snapshot before the result', async () => {
    const { runtime, commands, sent, result } = setUp();
    commands.obey({ type: 'model.load', commandId: 'c1', model: 'm' });
    expect(sent).toEqual([
      { type: 'command.progress', commandId: 'c1', stage: 'started', completedBytes: null, totalBytes: null },
    ]);
    runtime.finish();
    expect(await result()).toEqual({ type: 'command.result', commandId: 'c1', ok: true });
    expect(sent.at(-2)).toBe('snapshot');
  });

  it('runs once, however often it arrives', async () => {
    const { runtime, commands, result } = setUp();
    const pull = { type: 'model.pull', commandId: 'c1', model: 'new' } as const;
    commands.obey(pull);
    commands.obey(pull);
    runtime.finish();
    await result();
    expect(runtime.calls).toEqual(['pull new']);
  });

  it('that fails says why', async () => {
    const { runtime, commands, result } = setUp();
    commands.obey({ type: 'model.load', commandId: 'c1', model: 'm' });
    runtime.finish(new RuntimeError('out_of_memory', 'x'.repeat(5_000)));
    expect(await result()).toMatchObject({ ok: false, code: 'out_of_memory', detail: 'x'.repeat(2_000) });
  });

  it.each([
    { type: 'model.load', commandId: 'c1', model: 'none' },
    { type: 'model.unload', commandId: 'c1', model: 'none' },
    { type: 'model.delete', commandId: 'c1', model: 'none' },
  ] as const)('$type of a model that is not there asks no engine', async (message) => {
    const { runtime, commands, result } = setUp();
    commands.obey(message);
    expect(await result()).toMatchObject({ ok: false, code: 'model_not_found' });
    expect(runtime.calls).toEqual([]);
  });

  it('does not load while the node holds itself, unless it is forced', async () => {
    const { runtime, commands, result } = setUp({ holds: ['gaming'] });
    commands.obey({ type: 'model.load', commandId: 'c1', model: 'm' });
    expect(await result()).toMatchObject({ ok: false, code: 'node_held', detail: 'gaming' });
    commands.obey({ type: 'model.load', commandId: 'c2', model: 'm', isForced: true });
    expect(runtime.calls).toEqual(['load m']);
  });

  it('may exchange one model for another', async () => {
    const { runtime, commands, result } = setUp();
    commands.obey({ type: 'model.load', commandId: 'c1', model: 'm', replaces: 'warm' });
    runtime.finish();
    await vi.waitFor(() => expect(runtime.calls).toEqual(['unload warm', 'load m']));
    runtime.finish();
    expect(await result()).toMatchObject({ ok: true });
  });

  it.each(['model.load', 'model.pull'] as const)('%s ends as canceled when it is canceled', async (type) => {
    const { commands, result } = setUp();
    commands.obey({ type, commandId: 'c1', model: 'm' });
    commands.obey({ type: 'model.cancel', commandId: 'c1' });
    expect(await result()).toMatchObject({ ok: false, code: 'canceled' });
  });

  it('does not begin when its cancel was faster', async () => {
    const { runtime, commands, result } = setUp();
    commands.obey({ type: 'model.cancel', commandId: 'c1' });
    commands.obey({ type: 'model.load', commandId: 'c1', model: 'm' });
    expect(await result()).toMatchObject({ ok: false, code: 'canceled' });
    expect(runtime.calls).toEqual([]);
  });

  it('is not canceled by a cancel that means another', () => {
    const { runtime, commands, sent } = setUp();
    commands.obey({ type: 'model.load', commandId: 'c1', model: 'm' });
    commands.obey({ type: 'model.cancel', commandId: 'c2' });
    expect(runtime.calls).toEqual(['load m']);
    expect(sent).toHaveLength(1);
  });

  it('tells its progress twice a second at most, the newest, and lives on in silence every ten seconds', async () => {
    const { runtime, commands, sent, result } = setUp();
    commands.obey({ type: 'model.pull', commandId: 'c1', model: 'new' });
    for (let at = 1; at <= 100; at += 1) {
      runtime.onProgress({ stage: 'pulling', completedBytes: at, totalBytes: 100 });
      await vi.advanceTimersByTimeAsync(60);
    }
    const bytes = () =>
      sent.flatMap((message) => (message !== 'snapshot' && 'completedBytes' in message ? [message.completedBytes] : []));
    expect(bytes().length).toBeGreaterThan(10);
    expect(bytes().length).toBeLessThanOrEqual(14);
    expect(bytes().at(-1)).toBeGreaterThan(90);
    const before = sent.length;
    await vi.advanceTimersByTimeAsync(30_500);
    expect(sent.length - before).toBeGreaterThanOrEqual(3);
    expect(sent.length - before).toBeLessThanOrEqual(4);
    runtime.finish();
    await result();
    const after = sent.length;
    await vi.advanceTimersByTimeAsync(60_000);
    expect(sent).toHaveLength(after);
  });
});
