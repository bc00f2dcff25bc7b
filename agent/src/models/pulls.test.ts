import { pino } from 'pino';
import { describe, expect, it, vi } from 'vitest';
import { RuntimeError } from '../runtimes/runtime.ts';
import { DEFAULT_PULLS } from './pull-policy.ts';
import { Pulls } from './pulls.ts';
import { model, ScriptedRuntime } from './scripted-runtime.ts';

const setUp = (runtime = new ScriptedRuntime()) => {
  const relisted: string[][] = [];
  const pulls = new Pulls({
    runtimes: () => [new ScriptedRuntime({ abilities: { pull: false } }), runtime],
    allowed: DEFAULT_PULLS,
    onPulled: async (pulledBy) => {
      relisted.push((await pulledBy.listModels(AbortSignal.timeout(1_000))).map(({ id }) => id));
    },
    onChange: () => {},
    log: pino({ level: 'silent' }),
  });
  const ask = (name = 'llama3') => {
    const stop = new AbortController();
    const seen: (number | null)[] = [];
    const done = pulls.pull(name, ({ completedBytes }) => seen.push(completedBytes), stop.signal);
    done.catch(() => {});
    return { done, seen, stop: () => stop.abort(new RuntimeError('canceled', 'enough')) };
  };
  const advance = (completedBytes: number) => runtime.onProgress({ stage: 'pulling 0f', completedBytes, totalBytes: 100 });
  return { runtime, pulls, ask, advance, relisted };
};

describe('a download', () => {
  it('is begun once, by the first engine that can, however many want it; all see how far it is', async () => {
    const { runtime, pulls, ask, advance, relisted } = setUp();
    const first = ask();
    advance(40);
    const second = ask();
    advance(70);
    expect(runtime.calls).toEqual(['pull llama3']);
    expect(pulls.report()).toEqual([{ model: 'llama3', runtime: 'mock', completedBytes: 70, totalBytes: 100 }]);
    runtime.listed = [model('llama3')];
    runtime.finish();
    await Promise.all([first.done, second.done]);
    expect(first.seen).toEqual([null, 40, 70]);
    expect(second.seen).toEqual([40, 70]);
    expect(relisted).toEqual([['llama3']]);
    expect(pulls.report()).toEqual([]);
  });

  it('goes on while somebody waits for it, and stops when the last one gives up', async () => {
    const { runtime, pulls, ask } = setUp();
    const [first, second] = [ask(), ask()];
    first.stop();
    await expect(first.done).rejects.toMatchObject({ code: 'canceled' });
    expect(pulls.report()).toHaveLength(1);
    second.stop();
    await expect(second.done).rejects.toMatchObject({ code: 'canceled' });
    await vi.waitFor(() => expect(pulls.report()).toEqual([]));
    ask();
    expect(runtime.calls).toEqual(['pull llama3', 'pull llama3']);
  });

  it('that fails, fails for everybody, and can be tried again', async () => {
    const { runtime, ask } = setUp();
    const [first, second] = [ask(), ask()];
    runtime.finish(new RuntimeError('engine_error', 'no space left on device'));
    for (const { done } of [first, second]) await expect(done).rejects.toMatchObject({ detail: 'no space left on device' });
    const again = ask();
    runtime.finish();
    await again.done;
  });

  it('is refused when the owner does not allow it, before anybody is asked', async () => {
    const { runtime, ask } = setUp();
    await expect(ask('evil.example/library/m').done).rejects.toMatchObject({ code: 'permission_denied' });
    expect(runtime.calls).toEqual([]);
  });

  it('is refused where no engine downloads', async () => {
    const { ask, pulls } = setUp(new ScriptedRuntime({ abilities: { pull: false } }));
    expect(pulls.canPull).toBe(false);
    await expect(ask().done).rejects.toMatchObject({ code: 'request_refused' });
  });

  it('can be watched as news, of which a slow reader gets the newest', async () => {
    const { runtime, pulls, advance } = setUp();
    const news = pulls.watch('llama3', new AbortController().signal);
    expect(await news.next()).toMatchObject({ value: { stage: 'starting' } });
    advance(10);
    advance(20);
    advance(30);
    expect(await news.next()).toMatchObject({ value: { completedBytes: 30 } });
    runtime.finish();
    expect(await news.next()).toMatchObject({ done: true });
  });

  it('that is watched and fails, fails in the watcher’s hands', async () => {
    const { runtime, pulls } = setUp();
    const news = pulls.watch('llama3', new AbortController().signal);
    await news.next();
    const next = news.next();
    runtime.finish(new RuntimeError('model_not_found', 'file does not exist'));
    await expect(next).rejects.toMatchObject({ code: 'model_not_found' });
  });
});
