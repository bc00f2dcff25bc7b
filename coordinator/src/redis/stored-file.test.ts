import { describe, expect, it } from 'vitest';
import { troubleIn } from './stored-file.ts';

describe('troubleIn', () => {
  it.each([
    [
      'zeros at the end',
      '1:M # Bad file format reading the append only file appendonly.aof.1.incr.aof: make a backup',
      'damaged',
    ],
    ['a list that names no file', "1:M # The AOF base file appendonly.aof.1.base.rdb doesn't exist", 'damaged'],
    ['a list that cannot be read', '1:M # Invalid AOF manifest file format', 'damaged'],
    [
      'a full disk',
      "1:M # Can't recover from AOF write error when the AOF fsync policy is 'always'. No space left on device",
      'disk_full',
    ],
  ] as const)('reads %s', (_, line, kind) => {
    expect(troubleIn(`1:M * Ready to accept connections\n${line}\n`)?.kind).toBe(kind);
  });

  it('says nothing about an end that says nothing, or about trouble that was long ago', () => {
    expect(troubleIn('')).toBeNull();
    expect(troubleIn('1:M # User requested shutdown...\n')).toBeNull();
    expect(troubleIn(`1:M # No space left on device\n${'1:M * Ready to accept connections\n'.repeat(20)}`)).toBeNull();
  });
});
