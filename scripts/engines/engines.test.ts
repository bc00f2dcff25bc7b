import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { onPath } from './cache.ts';
import { run } from './command.ts';
import { aptConfiguration, mirrorIn } from './debian.ts';
import { bestBackEnd } from './llama-server.ts';
import { isGoNewEnough } from './ollama.ts';

const dir = mkdtempSync(join(tmpdir(), 'lai-engines-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

describe('choosing the CPU back end of llama-server', () => {
  const available = ['x64', 'sse42', 'sandybridge', 'haswell', 'skylakex', 'icelake', 'zen4'];
  const haswell = ['sse4_2', 'avx', 'avx2', 'fma', 'f16c', 'bmi2'];
  const skylake = [...haswell, 'avx512f', 'avx512vl', 'avx512bw', 'avx512dq', 'avx512cd'];
  it.each([
    ['a CPU without any extension', [], 'x64'],
    ['an old desktop', ['sse4_2', 'avx'], 'sandybridge'],
    ['a CPU with AVX2', haswell, 'haswell'],
    ['AVX2 without FMA, which haswell code would use', haswell.filter((flag) => flag !== 'fma'), 'sandybridge'],
    ['a CPU with AVX-512', skylake, 'skylakex'],
    ['a Zen 4', [...skylake, 'avx512vbmi', 'avx512_vnni', 'avx512_bf16'], 'zen4'],
  ])('%s', (_, flags, expected) => {
    expect(bestBackEnd(available, new Set(flags))).toBe(expected);
  });
  it('takes the next best when the packages lack the best', () => {
    expect(bestBackEnd(['x64', 'sse42'], new Set(skylake))).toBe('sse42');
    expect(bestBackEnd([], new Set(skylake))).toBeUndefined();
  });
});

describe('reading the machine', () => {
  it.each([
    ['go version go1.26.8 linux/amd64', true],
    ['go version go1.27rc1 linux/amd64', true],
    ['go version go1.25.11 linux/amd64', false],
    ['go version go2.0 linux/amd64', true],
    ['something else', false],
  ])('%s is new enough for Ollama: %s', (version, expected) => {
    expect(isGoNewEnough(version)).toBe(expected);
  });

  it('finds the Debian mirror among the addresses apt would download, not the security archive', () => {
    const printed = [
      "'http://mirror.example/debian-security/dists/bookworm-security/InRelease' a_InRelease 0 ",
      "'http://mirror.example/debian/dists/bookworm/InRelease' b_InRelease 0 ",
    ].join('\n');
    expect(mirrorIn(printed)).toBe('http://mirror.example/debian');
    expect(mirrorIn("'http://mirror.example/ubuntu/dists/noble/InRelease' x 0")).toBeUndefined();
  });

  it('quotes folders with spaces for apt', () => {
    expect(aptConfiguration('/a b/c', 'root')).toContain('Dir::State::lists "/a b/c/lists";');
  });

  it('finds only executable files on PATH', () => {
    mkdirSync(join(dir, 'one', 'tool'), { recursive: true });
    mkdirSync(join(dir, 'two'));
    writeFileSync(join(dir, 'two', 'tool'), '#!/bin/sh\n');
    const path = `${join(dir, 'one')}::${join(dir, 'two')}`;
    expect(onPath('tool', path)).toBeUndefined();
    chmodSync(join(dir, 'two', 'tool'), 0o755);
    expect(onPath('tool', path)).toBe(join(dir, 'two', 'tool'));
  });
});

describe('running a program to its end', () => {
  it('reports what it printed', async () => {
    expect(await run('sh', ['-c', 'echo out; echo err >&2'], { limitMs: 5_000 })).toEqual({
      ok: true,
      stdout: 'out',
      stderr: 'err',
      lastLine: 'err',
    });
  });
  it('reports a failure, a missing program and a time limit instead of throwing', async () => {
    expect(await run('sh', ['-c', 'echo broken; exit 3'], { limitMs: 5_000 })).toMatchObject({ ok: false, lastLine: 'broken' });
    expect(await run('lai-no-such-program', [], { limitMs: 5_000 })).toMatchObject({ ok: false, stdout: '' });
    expect(await run('sleep', ['30'], { limitMs: 50 })).toMatchObject({ ok: false, lastLine: 'sleep took longer than 0.05 s' });
  });
});
