import { describe, expect, it } from 'vitest';
import { bytesOf, fractionOf, numberIn, wordOf } from './quantity.ts';

describe('a quantity as vendor tools print it', () => {
  it.each([
    ['8192 MiB', 8192 * 2 ** 20],
    ['512 KiB', 512 * 2 ** 10],
    ['16368 MB', 16368 * 2 ** 20],
    ['0 MiB', 0],
    [' 7 MiB ', 7 * 2 ** 20],
    ['8192', 8192],
    ['N/A', null],
    ['[N/A]', null],
    ['[Not Supported]', null],
    ['[Insufficient Permissions]', null],
    ['Requested functionality has been deprecated', null],
    ['', null],
    ['-1', null],
    ['12 parsecs', null],
    ['1e9', null],
    ['7,5 MiB', 7.5 * 2 ** 20],
    ['24,576 MiB', null],
    ['24\u00a0MiB', 24 * 2 ** 20],
  ])('reads %j as %j bytes', (text, bytes) => {
    expect(bytesOf(text)).toBe(bytes);
  });

  it('takes the unit from the caller where the tool leaves it out', () => {
    expect(bytesOf('8192', 'MiB')).toBe(8192 * 2 ** 20);
  });

  it.each([
    ['31 %', 0.31],
    ['0', 0],
    ['101 %', 1],
    ['[N/A]', null],
    ['31 W', null],
  ])('reads %j as the fraction %j', (text, fraction) => {
    expect(fractionOf(text)).toBe(fraction);
  });

  it('refuses a number in another unit than the expected one', () => {
    expect(numberIn('W', '35.06 W')).toBe(35.06);
    expect(numberIn('W', '35.06')).toBe(35.06);
    expect(numberIn('W', '35060 mW')).toBeNull();
  });

  it('keeps a zero apart from "not known"', () => {
    expect(fractionOf('0 %')).toBe(0);
    expect(fractionOf('N/A')).toBeNull();
  });

  it.each([
    ['NVIDIA GeForce RTX 3090', 'NVIDIA GeForce RTX 3090'],
    ['[Unknown Error]', null],
    ['N/A', null],
    [' ', null],
  ])('reads the word %j as %j', (text, word) => {
    expect(wordOf(text)).toBe(word);
  });
});
