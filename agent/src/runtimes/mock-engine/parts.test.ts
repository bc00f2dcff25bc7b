import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { composeAnswer } from './answer.ts';
import { Faults, spelledFault } from './faults.ts';
import { parseCompactModels, parseModels } from './model-spec.ts';
import { keepAliveOf, withTag } from './ollama-names.ts';
import { promptOfOllama, promptOfOpenAi } from './prompt.ts';
import { vectorOf } from './text.ts';
import { type Beat, TokenClock } from './token-clock.ts';
import { nvidiaSmiCsv, VramLedger } from './vram-ledger.ts';

const MIB = 2 ** 20;

describe('the compact form of models', () => {
  it('reads every setting', () => {
    expect(
      parseCompactModels('llama3.2:3b=2.0GB,slots=2,tps=60,ctx=4096,caps=chat+tools; e=300MiB,caps=embeddings,dims=8,remote'),
    ).toEqual([
      expect.objectContaining({
        name: 'llama3.2:3b',
        sizeBytes: 2e9,
        slots: 2,
        tps: 60,
        contextLength: 4096,
        capabilities: ['chat', 'tools', 'completion', 'json'],
        isPresent: true,
      }),
      expect.objectContaining({ name: 'e', sizeBytes: 300 * MIB, capabilities: ['embedding'], dimensions: 8, isPresent: false }),
    ]);
  });

  it.each([['model'], ['model=2.0XB'], ['model=2GB,caps=flying']])('refuses %s', (text) => {
    expect(() => parseCompactModels(text)).toThrow();
  });

  it('may be JSON instead', () => {
    expect(parseModels('[{"name":"a","sizeBytes":5}]')[0]).toMatchObject({ name: 'a', tps: 60, contextLength: 8192 });
  });
});

describe('the memory of a GPU', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());
  const gpu = () => new VramLedger({ name: 'rtx-3070', totalBytes: 8192 * MIB });

  it('gives no more than there is', () => {
    const ledger = gpu();
    expect(ledger.take('a', 7000 * MIB)).toBe(true);
    expect(ledger.take('b', 1000 * MIB)).toBe(false);
    expect(ledger.heldBy('b')).toBe(0);
    expect(ledger.usedBytes + ledger.freeBytes).toBe(ledger.totalBytes);
  });

  it('shows what was given back a while longer, and wakes who waits for it', async () => {
    const ledger = gpu();
    const idleBytes = ledger.usedBytes;
    ledger.take('a', 4000 * MIB);
    ledger.release('a', 800);
    expect([ledger.usedBytes - idleBytes, ledger.isSettling]).toEqual([4000 * MIB, true]);
    const freed = ledger.whenChanged(5000);
    await vi.advanceTimersByTimeAsync(800);
    await freed;
    expect([ledger.usedBytes, ledger.isSettling]).toEqual([idleBytes, false]);
  });

  it('reads the same for nvidia-smi', () => {
    const ledger = gpu();
    ledger.setGameBytes(3000 * MIB);
    const fields = nvidiaSmiCsv(ledger.reading()).split(', ');
    expect(fields).toHaveLength(14);
    expect(fields.slice(5, 8)).toEqual(['8192', '3300', '4892']);
    expect(fields[9]).toBe('95');
    expect(fields[2]).toContain('simulated');
  });
});

describe('the token clock', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('calls each beat when it is due, until it is over', () => {
    const clock = new TokenClock(() => 1);
    const heard: string[] = [];
    const every = (name: string, ms: number, times: number): Beat => {
      let left = times;
      return (nowMs) => {
        heard.push(name);
        left -= 1;
        return left > 0 ? nowMs + ms : null;
      };
    };
    clock.start(every('slow', 30, 2), clock.now() + 30);
    clock.start(every('quick', 10, 4), clock.now() + 10);
    vi.advanceTimersByTime(200);
    expect(heard).toEqual(['quick', 'quick', 'slow', 'quick', 'quick', 'slow']);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('wakes once for everything within a tick', () => {
    const clock = new TokenClock(() => 10);
    const times: number[] = [];
    const beat = (): Beat => (nowMs) => {
      times.push(nowMs);
      return null;
    };
    for (const ms of [11, 13, 17, 19]) clock.start(beat(), clock.now() + ms);
    vi.advanceTimersByTime(100);
    expect(new Set(times).size).toBe(1);
  });

  it('lets a beat stop another one that was due with it', () => {
    const clock = new TokenClock(() => 1);
    const second = vi.fn<Beat>(() => null);
    clock.start(() => {
      clock.stop(second);
      return null;
    }, clock.now() + 5);
    clock.start(second, clock.now() + 50);
    vi.advanceTimersByTime(100);
    expect(second).not.toHaveBeenCalled();
  });
});

describe('answers', () => {
  const wish = (body: Record<string, unknown>, canUseTools = true) =>
    composeAnswer({
      prompt: promptOfOpenAi({ messages: [{ role: 'user', content: 'Once upon a time' }], ...body }),
      name: 'rtx-3070',
      canUseTools,
      naturalTokens: 64,
      longestTokens: 1024,
    });

  it('are the same for the same prompt and different for another one', () => {
    expect(wish({})).toEqual(wish({}));
    expect(wish({})).not.toEqual(wish({ messages: [{ role: 'user', content: 'Twice' }] }));
  });

  it.each([
    [{ max_tokens: 5 }, 5],
    [{ max_completion_tokens: 1 }, 1],
    [{ max_tokens: 1024 }, 1024],
  ])('with %j are of exactly %i tokens', (body, count) => {
    const answer = wish(body);
    expect([answer.tokens.length, answer.finishReason, answer.tokens[0]]).toEqual([count, 'length', '[simulated on rtx-3070]']);
  });

  it.each([[{}], [{ max_tokens: 32_000 }]])('with %j end by themselves with a sentence', (body) => {
    const answer = wish(body);
    expect([answer.finishReason, answer.tokens.at(-1)]).toEqual(['stop', '.']);
    expect(answer.tokens.length).toBeLessThan(80);
  });

  it('fill a JSON schema', () => {
    const schema = {
      type: 'object',
      properties: { name: { type: 'string' }, size: { enum: ['s', 'm'] }, parts: { type: 'array', items: { type: 'number' } } },
    };
    const text = wish({ response_format: { type: 'json_schema', json_schema: { schema } } }).tokens.join('');
    expect(JSON.parse(text)).toEqual({ name: '[simulated on rtx-3070]', size: 's', parts: [1] });
  });

  it('call no tool when the model cannot', () => {
    const body = { messages: [{ role: 'user', content: '#tool' }], tools: [{ function: { name: 'f' } }] };
    expect(wish(body).toolCall).toEqual({ name: 'f', arguments: {} });
    expect(wish(body, false).toolCall).toBeNull();
  });

  it('count what the native dialect asks for', () => {
    const prompt = promptOfOllama({ messages: [{ role: 'user', content: 'x', images: ['AA=='] }], options: { num_predict: 7 } });
    expect(prompt).toMatchObject({ maxTokens: 7, isStream: true, imageCount: 1, promptTokens: 257 });
  });
});

describe('vectors', () => {
  it('depend on the text alone and have length one', () => {
    expect(vectorOf('a', 8)).toEqual(vectorOf('a', 8));
    expect(vectorOf('a', 8)).not.toEqual(vectorOf('b', 8));
    expect(Math.hypot(...vectorOf('a', 384))).toBeCloseTo(1, 6);
  });
});

describe('armed faults', () => {
  const request = { model: 'small', prompt: 'hello' };

  it('strike as often as they were told to', () => {
    const faults = new Faults();
    faults.arm({ kind: 'crash', times: 2 });
    faults.arm({ kind: 'stall', times: 0 });
    const kinds = Array.from({ length: 4 }, () =>
      faults
        .claimForRequest(request)
        .map(({ kind }) => kind)
        .join('+'),
    );
    expect(kinds).toEqual(['crash+stall', 'crash+stall', 'stall', 'stall']);
    faults.clear();
    expect(faults.claimForRequest(request)).toEqual([]);
  });

  it('wait for their model and for their poison', () => {
    const faults = new Faults();
    faults.arm({ kind: 'crash', model: 'other' });
    faults.arm({ kind: 'poison', text: 'XYZZY' });
    expect(faults.claimForRequest(request)).toEqual([]);
    expect(faults.claimForRequest({ model: 'other', prompt: 'XYZZY' })).toHaveLength(2);
  });

  it('of loads are not used up by requests', () => {
    const faults = new Faults();
    faults.arm({ kind: 'oom' });
    expect(faults.claimForRequest(request)).toEqual([]);
    expect(faults.claim('oom', 'small')?.kind).toBe('oom');
    expect(faults.claim('oom', 'small')).toBeNull();
  });

  it.each([
    ['crash', { kind: 'crash', afterTokens: 0 }],
    ['stall:3:250', { kind: 'stall', afterTokens: 3, ms: 250 }],
    ['end:5@rtx-3070', { kind: 'end', afterTokens: 5 }],
  ])('%s is spelled right', (text, fault) => {
    expect(spelledFault(text, 'rtx-3070')).toMatchObject(fault);
  });

  it.each([['explode'], ['crash:x'], ['end:5@other'], ['']])('%j is none', (text) => {
    expect(spelledFault(text, 'rtx-3070')).toBeNull();
  });
});

describe('the words of Ollama', () => {
  it.each([
    ['5m', 300_000],
    ['1h30m', 5_400_000],
    [90, 90_000],
    ['250ms', 250],
    [0, 0],
    ['0', 0],
    [-1, null],
    ['-1m', null],
    [undefined, undefined],
  ])('keep_alive %j is %j ms', (value, ms) => {
    expect(keepAliveOf(value)).toBe(ms);
  });

  it.each([
    ['llama3', 'llama3:latest'],
    ['llama3:8b', 'llama3:8b'],
    ['host:5000/ns/model', 'host:5000/ns/model:latest'],
  ])('%s means %s', (name, full) => {
    expect(withTag(name)).toBe(full);
  });
});
