import { describe, expect, it } from 'vitest';
import { COOLDOWN_MS, type EngineHealth, FLOW_MS, watchdogVerdict } from './watchdog.ts';

const NOW = 10_000_000;
const well: EngineHealth = {
  nowMs: NOW,
  lastTokenAtMs: null,
  inFlight: 0,
  isLoading: false,
  silentSinceMs: null,
  stalls: 0,
  warmChatModel: 'm',
  probe: 'none',
  restartedAtMs: {},
};
const mute: EngineHealth = { ...well, silentSinceMs: NOW - 60_000 };
const stalled: EngineHealth = { ...well, stalls: 3 };

describe('the watchdog', () => {
  it.each<[string, EngineHealth, string]>([
    ['leaves an engine that is well', well, 'leave'],
    ['restarts one that answers nothing for long', mute, 'restart'],
    ['waits before it calls silence a fault', { ...mute, silentSinceMs: NOW - 10_000 }, 'leave'],
    ['never kills while tokens flow, however silent the rest is', { ...mute, lastTokenAtMs: NOW - FLOW_MS + 1 }, 'leave'],
    ['never kills while a model loads', { ...mute, isLoading: true }, 'leave'],
    ['does not restart for the same cause again so soon', { ...mute, restartedAtMs: { silent: NOW - COOLDOWN_MS + 1 } }, 'leave'],
    ['does so after the cooldown', { ...mute, restartedAtMs: { silent: NOW - COOLDOWN_MS } }, 'restart'],
    ['has a cooldown for each cause', { ...mute, restartedAtMs: { stalled: NOW - 1 } }, 'restart'],
    ['asks a stalled engine for a token first', stalled, 'probe'],
    ['takes one stall for an accident', { ...well, stalls: 1 }, 'leave'],
    ['does not ask while requests run', { ...stalled, inFlight: 1 }, 'leave'],
    ['asks nobody when no warm model can chat', { ...stalled, warmChatModel: null }, 'leave'],
    ['waits for the answer', { ...stalled, probe: 'running' }, 'leave'],
    ['leaves one that answers', { ...stalled, probe: 'answered' }, 'leave'],
    ['restarts one that does not', { ...stalled, probe: 'failed' }, 'restart'],
    [
      'does not restart a stalled one in its cooldown',
      { ...stalled, probe: 'failed', restartedAtMs: { stalled: NOW - 1_000 } },
      'leave',
    ],
  ])('%s', (_, health, kind) => {
    expect(watchdogVerdict(health).kind).toBe(kind);
  });
});
