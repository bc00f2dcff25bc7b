import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { call, chatBody } from './rig.ts';

const started: ChildProcess[] = [];
afterEach(() => {
  for (const child of started.splice(0)) child.kill('SIGKILL');
});

const program = async (...flags: string[]): Promise<{ child: ChildProcess; url: string }> => {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'main.ts'), ...flags], { stdio: ['pipe', 'pipe', 'inherit'] });
  started.push(child);
  const [line] = await once(child.stdout, 'data');
  return { child, url: JSON.parse(String(line)).listening };
};

const QUICK = ['--tuning', '{"coldLoadMsPerGb":0,"prefillMs":0,"tps":0}'];

describe('the mock engine as a program', () => {
  it.each([
    [['--help'], 0, 'usage: lai-mock-engine'],
    [['--dialect', 'lmstudio'], 1, '--dialect is one of ollama, llama-server, vllm, not "lmstudio"'],
    [['--port', 'http'], 1, '--port is a number from 0 to 65535, not "http"'],
    [['--vram-gb', ''], 1, '--vram-gb is a number from 0'],
    [['--tuning', '{tps}'], 1, '--tuning is JSON'],
    [['--tuning', '{"tps":-1}'], 1, '--tuning is JSON'],
    [['--modles', 'x=1GB'], 1, "Unknown option '--modles'"],
    [['--models', 'x=huge'], 1, '"huge" is not a size'],
  ])('explains itself: %j', (flags, status, words) => {
    const ended = spawnSync(process.execPath, [join(import.meta.dirname, 'main.ts'), ...flags], { encoding: 'utf8' });
    expect([ended.status, `${ended.stdout}${ended.stderr}`]).toEqual([status, expect.stringContaining(words)]);
    expect(ended.stderr).not.toMatch(/^ {4}at /m);
    if (status !== 0) expect(ended.stderr).toContain('See lai-mock-engine --help.');
  });

  it('says where it listens, answers, and ends with its parent', async () => {
    const { child, url } = await program('--name', 'big-gpu', '--vram-gb', '24', '--exit-with-parent', ...QUICK);
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    const answer = await call(`${url}/v1/chat/completions`, chatBody('x', { model: 'llama3.2:3b', max_tokens: 1 }));
    expect(answer.body).toContain('[simulated on big-gpu]');
    expect(JSON.parse((await call(`${url}/_mock/gpu`)).body)).toMatchObject({ name: 'big-gpu', totalBytes: 24 * 2 ** 30 });
    child.stdin?.end();
    expect(await once(child, 'exit')).toEqual([0, null]);
  });

  it('dies on command with the code it was told, and leaves an orphan that the next one finds', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'mock-engine-'));
    const orphans = join(folder, 'orphans');
    const flags = ['--dialect', 'ollama', '--orphan-file', orphans, ...QUICK];
    const { child, url } = await program(...flags);
    await call(`${url}/api/generate`, { model: 'llama3.2:3b' });
    const exit = once(child, 'exit');
    await call(`${url}/_mock/crash`, { exitCode: 137, leavesOrphan: true });
    expect(await exit).toEqual([137, null]);
    expect(Number(readFileSync(orphans, 'utf8'))).toBeGreaterThan(2e9);
    const again = await program(...flags);
    const { usedBytes } = JSON.parse((await call(`${again.url}/_mock/gpu`)).body);
    expect(usedBytes).toBeGreaterThan(2e9);
    expect((await call(`${again.url}/api/ps`)).body).toBe('{"models":[]}');
    rmSync(folder, { recursive: true });
  });

  it('takes its levers over HTTP and shows what it did', async () => {
    const { url } = await program('--dialect', 'llama-server', ...QUICK);
    expect((await call(`${url}/_mock/fault`, { kind: 'nonsense' })).status).toBe(400);
    await call(`${url}/_mock/fault`, { kind: 'error', times: 2 });
    const ask = async () =>
      (await call(`${url}/v1/chat/completions`, chatBody('x', { model: 'llama3.2:3b', max_tokens: 3 }))).status;
    expect([await ask(), await ask(), await ask()]).toEqual([500, 500, 200]);
    await call(`${url}/_mock/set`, { prefillMs: 7 });
    await call(`${url}/_mock/game`, { bytes: 2 ** 30 });
    const state = JSON.parse((await call(`${url}/_mock/state`)).body);
    expect(state).toMatchObject({
      requests: { seen: 3, active: 0, done: 1, refused: 2 },
      tokens: { generated: 3, afterAbort: 0 },
      models: [
        { name: 'llama3.2:3b', slots: 2, slotsInUse: 0, maxSlotsInUse: 1, queueLength: 0, loads: { started: 1, finished: 1 } },
      ],
      tuning: { prefillMs: 7 },
      faults: [],
    });
    expect(state.recent.map(({ state: end, tokens }: { state: string; tokens: number }) => [end, tokens])).toEqual([
      ['refused', 0],
      ['refused', 0],
      ['done', 3],
    ]);
    expect((await call(`${url}/_mock/nvidia-smi`)).body.split(', ')).toHaveLength(14);
  });
});
