import { describe, expect, it } from 'vitest';
import { FloodMeter } from './flood-meter.ts';
import { Strangers } from './strangers.ts';

type Frame = Parameters<FloodMeter['take']>[0];
const MESSAGE: Frame = { kind: 'control', bytes: 100 };

/** Sends so many frames within the second that begins at `atMs`; the last verdict. */
const send = (meter: FloodMeter, atMs: number, count: number, frame = MESSAGE, streams = 0) => {
  let last = meter.take(frame, streams, atMs);
  for (let sent = 1; sent < count; sent += 1) last = meter.take(frame, streams, atMs);
  return last;
};

describe('FloodMeter', () => {
  it('lets a busy machine send 20,000 frames of data a second, second after second', () => {
    const meter = new FloodMeter();
    for (let second = 0; second < 30; second += 1)
      expect(send(meter, second * 1_000, 20_000, { kind: 'data', bytes: 300 }, 400)).toEqual({ kind: 'fine' });
  });

  it.each([
    ['tiny answers, one after the other on 64 slots', 12_000, 64],
    ['every slot of a large machine at once', 30_000, 256],
  ])('follows the attempts that the coordinator started: %s', (_, attemptsPerSecond, streams) => {
    const meter = new FloodMeter();
    for (let second = 0; second < 12; second += 1) {
      for (let attempt = 0; attempt < attemptsPerSecond; attempt += 1) {
        meter.expect(3);
        send(meter, second * 1_000, 2);
        meter.take({ kind: 'data', bytes: 200 }, streams, second * 1_000);
      }
      expect(meter.take({ kind: 'data', bytes: 200 }, streams, second * 1_000)).toEqual({ kind: 'fine' });
    }
  });

  it('allows frames of data by the attempts that run: 256 of 300 tokens/s', () => {
    const meter = new FloodMeter();
    const second = 256 * 300;
    for (let at = 0; at < 12; at += 1)
      expect(send(meter, at * 1_000, second, { kind: 'data', bytes: 200 }, 256)).toEqual({ kind: 'fine' });
  });

  it.each<[string, number, Frame]>([
    ['messages that nobody asked for', 2_000, { kind: 'control', bytes: 10 }],
    ['snapshots', 40, { kind: 'status', bytes: 0 }],
    ['frames of data', 50_000, { kind: 'data', bytes: 10 }],
    ['bytes of messages', 2, { kind: 'control', bytes: 1024 * 1024 }],
    ['bytes', 64, { kind: 'data', bytes: 1024 * 1024 }],
  ])('slows an agent down to the end of the second when it sends too many %s', (_, limit, frame) => {
    const meter = new FloodMeter();
    expect(send(meter, 0, limit, frame)).toEqual({ kind: 'fine' });
    expect(meter.take(frame, 0, 400)).toEqual({ kind: 'slow', waitMs: 600 });
    expect(meter.take(frame, 0, 1_000)).toEqual({ kind: 'fine' });
  });

  it('calls ten seconds in a row over a limit a flood', () => {
    const meter = new FloodMeter();
    for (let second = 0; second < 10; second += 1) expect(send(meter, second * 1_000, 2_001).kind).toBe('slow');
    expect(send(meter, 10_000, 2_001)).toEqual({ kind: 'flood' });
  });

  it('forgets a burst when the agent calms down', () => {
    const meter = new FloodMeter();
    for (let round = 0; round < 40; round += 1) {
      expect(send(meter, round * 2_000, 2_001).kind).toBe('slow');
      expect(send(meter, round * 2_000 + 1_000, 10)).toEqual({ kind: 'fine' });
    }
  });
});

const visiting = (strangers: Strangers) => {
  const inside: string[] = [];
  return {
    inside,
    come: (name: string, network: string | null = null) => strangers.admit(network, () => void inside.push(name)),
  };
};

describe('strangers', () => {
  it('are eight from one network, and others may still come', () => {
    const strangers = new Strangers();
    const { come, inside } = visiting(strangers);
    const leaving = Array.from({ length: 9 }, (_, index) => come(`a${index}`, '203.0.113.9'));
    come('b0', '203.0.113.10');
    expect(inside).toEqual(['a0', 'a1', 'a2', 'a3', 'a4', 'a5', 'a6', 'a7', 'b0']);
    come('a9', '203.0.113.9');
    leaving[0]?.();
    leaving[0]?.();
    expect(inside.slice(9)).toEqual(['a8']);
  });

  it('are sixty-four in all, this machine included', () => {
    const strangers = new Strangers();
    const { come, inside } = visiting(strangers);
    const leaving = Array.from({ length: 64 }, (_, index) => come(`${index}`));
    expect(inside).toHaveLength(64);
    come('late');
    come('later', '203.0.113.9');
    expect(inside).toHaveLength(64);
    leaving[3]?.();
    expect(inside.slice(64)).toEqual(['late']);
    leaving[5]?.();
    expect(inside.slice(64)).toEqual(['late', 'later']);
  });

  it('that stop waiting lose their turn', () => {
    const { come, inside } = visiting(new Strangers());
    const [first] = Array.from({ length: 64 }, (_, index) => come(`${index}`));
    const impatient = come('impatient');
    come('patient');
    impatient?.();
    impatient?.();
    first?.();
    expect(inside.slice(64)).toEqual(['patient']);
  });

  it('are turned away when sixty-four of their network, or a thousand in all, wait already', () => {
    const { come } = visiting(new Strangers());
    const from = (network: string | null, count: number) => Array.from({ length: count }, () => come('x', network));
    expect(from('203.0.113.9', 73).map((leave) => leave !== null)).toEqual([...Array<boolean>(72).fill(true), false]);
    expect(come('y', '203.0.113.10')).not.toBeNull();
    from(null, 55 + 936);
    expect(come('z')).toBeNull();
    expect(come('z', '203.0.113.11')).toBeNull();
  });
});
