/** `npm run screenshots [-- folder]`: every page of the dashboard at three widths in both themes, of the demo fleet. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { exit } from 'node:process';
import { readOrExplain } from '../command-line.ts';
import { findChromium, launch } from './chromium.ts';
import { Demo } from './demo.ts';
import { PAGES } from './pages.ts';
import { Visit } from './visit.ts';

const WIDTHS = [
  { width: 360, height: 780 },
  { width: 768, height: 1024 },
  { width: 1280, height: 800 },
];

const folder = readOrExplain(
  'usage: npm run screenshots -- [folder]   (default: .toolchain/screenshots)',
  ([wanted]) => wanted ?? join(import.meta.dirname, '..', '..', '.toolchain', 'screenshots'),
);
const found = findChromium();
if (found.path === null) {
  console.error(found.reason);
  exit(1);
}
mkdirSync(folder, { recursive: true });
const demo = await Demo.start();
const browser = await launch(found.path);
try {
  await demo.signUp();
  await demo.liven();
  for (const theme of ['light', 'dark'] as const) {
    for (const size of WIDTHS) {
      const visit = await Visit.open(browser, demo.url, { ...size, theme });
      await visit.signIn(demo.operator);
      for (const { name, path, ready } of PAGES) {
        await visit.page.goto(typeof path === 'string' ? path : path(await demo.nodeId('windows-rtx')));
        await ready(visit.page);
        const file = join(folder, `${name}-${size.width}-${theme}.png`);
        await visit.page.screenshot({ path: file });
        console.log(file);
      }
      await visit.close();
    }
  }
} finally {
  await browser.close();
  await demo.stop();
}
