import { describe, expect, it } from 'vitest';
import { firstScripts } from './sizes.ts';

describe('what a browser loads first', () => {
  const files: Record<string, string> = {
    'index-a.js': 'import{x as y}from"./icon-b.js";import"./side-c.js";const l=()=>import("./late-d.js");',
    'icon-b.js': 'import{z}from"./deep-e.js";export{z as x};',
    'side-c.js': '',
    'deep-e.js': '',
    'late-d.js': '',
  };

  it('is what the page names and what that imports, not what is imported on demand', () => {
    const html =
      '<script type="module" src="/ui/assets/index-a.js"></script><link rel="modulepreload" href="/ui/assets/icon-b.js">';
    expect([...firstScripts(html, (name) => files[name] ?? '')].sort()).toEqual([
      ...['deep-e.js', 'icon-b.js', 'index-a.js', 'side-c.js'],
    ]);
  });
});
