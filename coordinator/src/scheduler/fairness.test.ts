import { describe, expect, it } from 'vitest';
import { emptyFairState, enqueueFairly, type FairState, type PriorityClass, priorityNow, serveFairly } from './fairness.ts';

interface Waiting {
  readonly key: string;
  readonly start: number;
  readonly priority: number;
}

/** Who waits, taken in the order of priority and then of arrival, as BullMQ does. */
class Queue {
  #state: FairState = emptyFairState;
  readonly waiting: Waiting[] = [];

  add(key: string, count = 1, { priorityClass = 'interactive' as PriorityClass, cost = 1, weight = 1 } = {}): void {
    for (let at = 0; at < count; at += 1) {
      const { state, start, priority } = enqueueFairly(this.#state, { key, priorityClass, cost, weight });
      this.#state = state;
      this.waiting.push({ key, start, priority });
    }
  }

  serve(count = 1): string {
    return Array.from({ length: count }, () => {
      const first = this.waiting.reduce((best, one) => (one.priority < best.priority ? one : best));
      this.waiting.splice(this.waiting.indexOf(first), 1);
      this.#state = serveFairly(this.#state, first.start);
      return first.key;
    }).join('');
  }

  priorityNow(priorityClass: PriorityClass): number {
    return priorityNow(this.#state, priorityClass);
  }
}

const CLASSES: PriorityClass[] = ['interactive', 'normal', 'batch'];

describe('fair queueing', () => {
  it.each(CLASSES)('lets a light key in among what a flooding one left before, in the class %s', (priorityClass) => {
    const queue = new Queue();
    queue.add('h', 300, { priorityClass });
    expect(queue.serve(5)).toBe('hhhhh');
    queue.add('l', 2, { priorityClass });
    // At the latest behind the one whose turn it is.
    expect(queue.serve(4).replaceAll('h', '')).toBe('ll');
  });

  it('takes keys in turns, and one of twice the weight twice as often', () => {
    const queue = new Queue();
    queue.add('a', 12);
    queue.add('b', 12, { weight: 2 });
    const served = queue.serve(12);
    expect(served.replaceAll('a', '')).toHaveLength(8);
  });

  it('counts a huge request as several', () => {
    const queue = new Queue();
    queue.add('a', 10, { cost: 4 });
    queue.add('b', 10);
    expect(queue.serve(10).replaceAll('b', '').length).toBeLessThanOrEqual(3);
  });

  it.each(['normal', 'batch'] as const)("does not let a key's own %s work delay what it asks for itself", (priorityClass) => {
    const queue = new Queue();
    queue.add('n', 600, { priorityClass, cost: 4 });
    queue.add('o', 5);
    queue.add('n', 1);
    expect(queue.serve(2)).toBe('on');
  });

  it('ages: after enough service batch work comes before what arrives now', () => {
    const queue = new Queue();
    queue.add('b', 1, { priorityClass: 'batch' });
    let served = 0;
    do queue.add('i');
    while (queue.serve() === 'i' && ++served < 5_000);
    expect(served).toBeGreaterThan(900);
    expect(served).toBeLessThan(1_100);
  });

  it('has durable work of a class stand where live work of that class would', () => {
    const queue = new Queue();
    queue.add('a', 2_000);
    queue.serve(1_500);
    expect(queue.priorityNow('interactive')).toBeLessThanOrEqual(queue.waiting[0]?.priority ?? 0);
    expect(queue.priorityNow('batch')).toBeGreaterThan(queue.waiting.at(-1)?.priority ?? 0);
  });
});
