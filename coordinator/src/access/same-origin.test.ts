import { describe, expect, it } from 'vitest';
import { isCrossSite, isSameOrigin } from './same-origin.ts';

const OWN = 'https://lai.example';

describe('what a browser sends', () => {
  it.each<[string | undefined, string | undefined, 'ours' | 'of another site' | 'of no browser']>([
    [OWN, 'same-origin', 'ours'],
    [undefined, 'same-origin', 'ours'],
    [OWN, undefined, 'ours'],
    ['https://evil.example', 'cross-site', 'of another site'],
    ['https://evil.example', undefined, 'of another site'],
    // Another host of the same domain, another port, another scheme.
    ['https://wiki.lai.example', 'same-site', 'of another site'],
    ['https://lai.example:8443', undefined, 'of another site'],
    ['http://lai.example', undefined, 'of another site'],
    ['https://lai.example.evil.example', undefined, 'of another site'],
    // One right header does not make up for a wrong one.
    [OWN, 'cross-site', 'of another site'],
    [OWN, 'same-site', 'of another site'],
    ['https://evil.example', 'same-origin', 'of another site'],
    // A frame without an origin, a bookmark, an empty header.
    ['null', 'cross-site', 'of another site'],
    ['null', undefined, 'of another site'],
    [undefined, 'none', 'of another site'],
    ['', undefined, 'of another site'],
    [undefined, undefined, 'of no browser'],
  ])('Origin %s, Sec-Fetch-Site %s: %s', (origin, secFetchSite, whose) => {
    expect(isSameOrigin({ origin, secFetchSite }, OWN)).toBe(whose === 'ours');
    expect(isCrossSite({ origin, secFetchSite }, OWN)).toBe(whose === 'of another site');
  });
});
