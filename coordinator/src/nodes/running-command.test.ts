import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type CommandFrame, type CommandRequest, commandFrame, RunningCommand } from './running-command.ts';

const progress = (completedBytes: number) => ({ kind: 'progress', stage: 'pulling', completedBytes, totalBytes: 100 }) as const;
const begin = (type: CommandRequest['type'] = 'model.pull') => {
  const canceled: string[] = [];
  const command = new RunningCommand({ commandId: 'c', type, onCancel: () => canceled.push('c') });
  return { command, canceled };
};
const read = async (command: RunningCommand): Promise<CommandFrame[]> => {
  const frames: CommandFrame[] = [];
  for await (const frame of command) frames.push(frame);
  return frames;
};

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe('a command on a node', () => {
  it('tells its progress and how it ended', async () => {
    const { command } = begin();
    const frames = read(command);
    command.take(progress(10));
    await vi.advanceTimersByTimeAsync(0);
    command.take(progress(20));
    await vi.advanceTimersByTimeAsync(0);
    command.take({ kind: 'done' });
    expect(await frames).toMatchObject([{ completedBytes: 10 }, { completedBytes: 20 }, { kind: 'done' }]);
  });

  it('gives a slow reader the newest progress only', async () => {
    const { command } = begin();
    for (const bytes of [10, 20, 30]) command.take(progress(bytes));
    command.take({ kind: 'failed', code: 'out_of_memory', detail: 'kv cache' });
    expect(await read(command)).toEqual([
      { kind: 'progress', stage: 'pulling', completedBytes: 30, totalBytes: 100 },
      { kind: 'failed', code: 'out_of_memory', detail: 'kv cache' },
    ]);
  });

  it('ends once', async () => {
    const { command } = begin();
    command.take({ kind: 'failed', code: 'node_lost', detail: null });
    command.take({ kind: 'done' });
    expect(await read(command)).toEqual([{ kind: 'failed', code: 'node_lost', detail: null }]);
  });

  it('is given up when the node does not begin: an older agent does not know the word', async () => {
    const { command } = begin();
    const frames = read(command);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(await frames).toMatchObject([{ kind: 'failed', code: 'accept_timeout' }]);
  });

  it('is given up when the node falls silent, and not before', async () => {
    const { command } = begin();
    const frames = read(command);
    for (let at = 0; at < 6; at += 1) {
      command.take(progress(at));
      await vi.advanceTimersByTimeAsync(59_000);
    }
    await vi.advanceTimersByTimeAsync(1_000);
    expect((await frames).at(-1)).toMatchObject({ kind: 'failed', code: 'node_lost' });
  });

  it('to load a model may be silent for as long as it takes', async () => {
    const { command } = begin('model.load');
    const frames = read(command);
    await vi.advanceTimersByTimeAsync(3_600_000);
    command.take({ kind: 'done' });
    expect(await frames).toEqual([{ kind: 'done' }]);
  });

  it('goes on when its reader leaves, and is canceled only by asking for that', async () => {
    const { command, canceled } = begin();
    command.take(progress(1));
    for await (const _ of command) break;
    expect(canceled).toEqual([]);
    command.cancel();
    expect(canceled).toEqual(['c']);
    command.take({ kind: 'done' });
    command.cancel();
    expect(canceled).toEqual(['c']);
  });

  it('is read from what the node says', () => {
    expect(commandFrame({ type: 'command.result', commandId: 'c', ok: true })).toEqual({ kind: 'done' });
    expect(commandFrame({ type: 'command.result', commandId: 'c', ok: false })).toEqual({
      kind: 'failed',
      code: 'internal_error',
      detail: null,
    });
    const news = { stage: 'pulling', completedBytes: 1, totalBytes: null };
    expect(commandFrame({ type: 'command.progress', commandId: 'c', ...news })).toEqual({ kind: 'progress', ...news });
  });
});
