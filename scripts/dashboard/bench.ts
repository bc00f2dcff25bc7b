/** `npm run bench:dashboard`: sizes and times of the dashboard, and what its feed costs. Sizes and jumps can fail, times never do. */
import { exit } from 'node:process';
import { optionsOr } from '../command-line.ts';
import { findChromium, launch } from './chromium.ts';
import { Demo, OPERATOR } from './demo.ts';
import { costOfListeners } from './feed-cost.ts';
import { BUDGETS, type Sizes, sizesOf } from './sizes.ts';
import { Visit } from './visit.ts';

const MOST_SHIFT = 0.01;
/** As devtools would slow it down: CPU times slower, bytes per second, ms there and back. */
const CONDITIONS = [
  { name: 'this machine', rate: 1, bytes: -1, latencyMs: 0 },
  { name: 'CPU 4× slower, 10 Mbit/s, 40 ms', rate: 4, bytes: 1_250_000, latencyMs: 40 },
  { name: 'CPU 6× slower, 1.6 Mbit/s, 150 ms', rate: 6, bytes: 200_000, latencyMs: 150 },
];

optionsOr('usage: npm run bench:dashboard   (it takes no options)', {});
const failures: string[] = [];
const sizes = sizesOf();
console.log('\nSizes, kB gzip -9');
for (const [name, most] of Object.entries(BUDGETS) as [keyof Sizes, number][]) {
  console.log(`  ${name.padEnd(12)} ${sizes[name].toFixed(1).padStart(6)}  of ${most}`);
  if (sizes[name] > most) failures.push(`${name} is ${sizes[name].toFixed(1)} kB, more than ${most}`);
}

const found = findChromium();
const demo = await Demo.start();
try {
  await demo.signUp();
  if (found.path === null) console.log(`\nTimes in a browser: left out. ${found.reason}`);
  else await timeThePage(found.path);
  console.log('\nCoordinator, % of a core, 100 snapshots/s of 50 nodes');
  for (const { listeners, share, megabytesPerSecond } of await costOfListeners(demo)) {
    console.log(
      `  ${String(listeners).padStart(2)} listeners  ${(share * 100).toFixed(1).padStart(5)} %  ${megabytesPerSecond.toFixed(1)} MB/s out`,
    );
  }
} finally {
  await demo.stop();
}
for (const failure of failures) console.error(`FAILED: ${failure}`);
exit(failures.length > 0 ? 1 : 0);

async function timeThePage(path: string): Promise<void> {
  const browser = await launch(path);
  console.log('\nFirst visit, ms            first paint   machines on screen   layout shift');
  for (const { name, rate, bytes, latencyMs } of CONDITIONS) {
    const visit = await Visit.open(browser, demo.url);
    await visit.signIn(OPERATOR);
    const devtools = await visit.context.newCDPSession(visit.page);
    await devtools.send('Emulation.setCPUThrottlingRate', { rate });
    await devtools.send('Network.enable');
    await devtools.send('Network.emulateNetworkConditions', {
      ...{ offline: false, latency: latencyMs, downloadThroughput: bytes, uploadThroughput: bytes },
    });
    await visit.page.goto('/ui/');
    await visit.page.getByRole('article', { name: 'windows-rtx' }).waitFor();
    const [paint, shown] = (await visit.page.evaluate(
      `[performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0, performance.now()]`,
    )) as [number, number];
    const { shift } = await visit.seen();
    console.log(
      `  ${name.padEnd(34)} ${Math.round(paint)} ${String(Math.round(shown)).padStart(12)} ${shift.toFixed(4).padStart(18)}`,
    );
    if (shift > MOST_SHIFT) failures.push(`the page jumps by ${shift.toFixed(4)}, more than ${MOST_SHIFT} (${name})`);
    await visit.close();
  }
  await browser.close();
}
