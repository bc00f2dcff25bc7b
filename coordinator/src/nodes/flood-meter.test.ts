import { describe, expect, it } from 'vitest';
import { FloodMeter } from './flood-meter.ts';
import { Strangers } from './strangers.ts';

/** Sends so many frames within the second that begins at `atMs`; the last verdict. */
const send = (meter: FloodMeter, atMs: number, count: number, frame = { isData: false, bytes: 100 }) => {
  let last = meter.take(frame, atMs);
  for (let sent = 1; sent < count; sent += 1) last = meter.take(frame, atMs);
  return last;
};

describe('an agent', () => {
  it('may send what a busy machine sends: 20,000 frames of data a second, second after second', () => {
    const meter = new FloodMeter();
    for (let second = 0; second < 30; second += 1)
      expect(send(meter, second * 1_000, 20_000, { isData: true, bytes: 300 })).toEqual({ kind: 'fine' });
  });

  it.each([
    ['messages', 2_000, { isData: false, bytes: 10 }],
    ['frames of data', 50_000, { isData: true, bytes: 10 }],
    ['bytes', 64, { isData: true, bytes: 1024 * 1024 }],
  ])('is slowed down to the end of the second when it sends too many %s', (_, limit, frame) => {
    const meter = new FloodMeter();
    expect(send(meter, 0, limit, frame)).toEqual({ kind: 'fine' });
    expect(meter.take(frame, 400)).toEqual({ kind: 'slow', waitMs: 600 });
    expect(meter.take(frame, 1_000)).toEqual({ kind: 'fine' });
  });

  it('that goes on for ten seconds is a flood', () => {
    const meter = new FloodMeter();
    for (let second = 0; second < 10; second += 1) expect(send(meter, second * 1_000, 2_001).kind).toBe('slow');
    expect(send(meter, 10_000, 2_001)).toEqual({ kind: 'flood' });
  });

  it('is forgiven a burst when it calms down', () => {
    const meter = new FloodMeter();
    for (let round = 0; round < 40; round += 1) {
      expect(send(meter, round * 2_000, 2_001).kind).toBe('slow');
      expect(send(meter, round * 2_000 + 1_000, 10)).toEqual({ kind: 'fine' });
    }
  });
});

describe('strangers', () => {
  it('are eight from one network, and others may still come', () => {
    const strangers = new Strangers();
    const leaving = Array.from({ length: 8 }, () => strangers.admit('203.0.113.9'));
    expect(leaving.every((leave) => leave !== null)).toBe(true);
    expect(strangers.admit('203.0.113.9')).toBeNull();
    expect(strangers.admit('203.0.113.10')).not.toBeNull();
    leaving[0]?.();
    leaving[0]?.();
    expect(strangers.admit('203.0.113.9')).not.toBeNull();
    expect(strangers.admit('203.0.113.9')).toBeNull();
  });

  it('are sixty-four in all, this machine included', () => {
    const strangers = new Strangers();
    const leaving = Array.from({ length: 64 }, () => strangers.admit(null));
    expect(leaving.every((leave) => leave !== null)).toBe(true);
    expect(strangers.admit(null)).toBeNull();
    expect(strangers.admit('203.0.113.9')).toBeNull();
    leaving[3]?.();
    expect(strangers.admit(null)).not.toBeNull();
  });
});
