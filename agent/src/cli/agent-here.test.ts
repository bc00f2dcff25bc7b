import { describe, expect, it } from 'vitest';
import { chooseAgent } from './agent-here.ts';

describe('chooseAgent', () => {
  const has =
    (...dirs: string[]) =>
    (dir: string) =>
      dirs.includes(dir);
  it('takes the usual folder where an agent has it, and where none is anywhere', () => {
    expect(chooseAgent('/usual', ['/other'], has('/usual', '/other'))).toBe('/usual');
    expect(chooseAgent('/usual', [], has())).toBe('/usual');
  });
  it('takes the only other one, and asks when there are several', () => {
    expect(chooseAgent('/usual', ['/other'], has('/other'))).toBe('/other');
    expect(() => chooseAgent('/usual', ['/a', '/b'], has('/a', '/b'))).toThrow(/--data-dir: \/a, \/b/);
  });
});
