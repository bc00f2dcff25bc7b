import { describe, expect, it } from 'vitest';
import { imageTags } from './image-tags.ts';

const sha = '0123456789abcdef0123456789abcdef01234567';

describe('tags of an image', () => {
  it.each([
    ['refs/heads/main', '1.2.3', ['sha-0123456789ab', 'main']],
    ['refs/heads/other', '1.2.3', ['sha-0123456789ab']],
    ['refs/tags/v1.2.3', '1.2.3', ['1.2.3', '1.2', '1', 'sha-0123456789ab']],
    ['refs/tags/v0.2.3', '0.2.3', ['0.2.3', '0.2', 'sha-0123456789ab']],
    ['refs/tags/v1.3.0-rc.1', '1.3.0-rc.1', ['1.3.0-rc.1', 'sha-0123456789ab']],
  ])('of %s at %s', (ref, version, expected) => {
    expect(imageTags({ ref, sha, version })).toEqual(expected);
  });

  it.each([
    ['refs/tags/v1.2.4', '1.2.3'],
    ['refs/tags/vnext', 'next'],
  ])('%s is a mistake at %s', (ref, version) => {
    expect(() => imageTags({ ref, sha, version })).toThrow();
  });
});
