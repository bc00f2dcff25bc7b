import { describe, expect, it } from 'vitest';
import { RetryBudget } from './retry-budget.ts';

const taken = (budget: RetryBudget, times: number) =>
  Array.from({ length: times }, () => budget.take()).filter((place) => place !== null);

describe('retries in progress', () => {
  it.each([
    [0, 3],
    [15, 3],
    [100, 20],
  ])('beside %i requests are %i at most', (requests, most) => {
    expect(taken(new RetryBudget(() => requests), 50)).toHaveLength(most);
  });

  it('make room for others when they have ended', () => {
    const budget = new RetryBudget(() => 0);
    const [first] = taken(budget, 3);
    expect(budget.take()).toBeNull();
    first?.();
    expect(taken(budget, 3)).toHaveLength(1);
  });
});
