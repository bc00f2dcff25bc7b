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
