/**
 * `npm run body-cost`: what reading and translating a request body costs, for every surface and shape, by its size. Exits with 1 when the
 * time per byte grows with the size, or a body holds the event loop for longer than twice what JSON.parse takes, plus 20 ms.
 */
import { optionsOr } from '../command-line.ts';
import { type Cost, costOf } from './measure.ts';
import { SHAPES } from './shapes.ts';

const KIB = 1024;
const SIZES = [10 * KIB, 100 * KIB, KIB * KIB, 4 * KIB * KIB - KIB];
const GROWTH = 2;
const EXTRA_MS = 20;
const USAGE = `usage: npm run body-cost -- [options]
  --times <n>      tries of each body; the median counts (1)
  --shape <text>   only shapes whose name has this in it
  --surface <name> only this surface`;
const values = optionsOr(USAGE, {
  times: { type: 'string', default: '1' },
  shape: { type: 'string', default: '' },
  surface: { type: 'string', default: '' },
});

const nsPerByte = ({ ms, bytes }: Cost): number => (ms * 1e6) / bytes;

/** What is wrong with the costs of one shape, by size. */
const problemsOf = (costs: readonly Cost[]): string[] => {
  const held = costs
    .filter(({ ms, parseMs }) => ms > 2 * parseMs + EXTRA_MS)
    .map(
      ({ bytes, ms, parseMs }) => `${bytes} bytes hold the loop for ${ms.toFixed(1)} ms, JSON.parse for ${parseMs.toFixed(1)} ms`,
    );
  const [first, ...later] = costs.filter(({ refused }) => refused === null).map(nsPerByte);
  const most = Math.max(0, ...later);
  return first !== undefined && most > GROWTH * first
    ? [...held, `the time per byte grows by ${(most / first).toFixed(1)}`]
    : held;
};

let problems = 0;
for (const shape of SHAPES.filter(({ name }) => name.includes(values.shape))) {
  for (const surface of shape.surfaces.filter((name) => name.includes(values.surface))) {
    // The first runs of a shape are slower: nothing is compiled yet.
    costOf(shape, surface, { bytes: 10 * KIB, times: 1 });
    const costs = SIZES.map((bytes) => costOf(shape, surface, { bytes, times: Number(values.times) }));
    const found = problemsOf(costs);
    problems += found.length;
    const figures = costs.map((cost) => `${nsPerByte(cost).toFixed(1).padStart(7)}${cost.refused ? ' refused' : ''}`).join(' ');
    const last = costs.at(-1);
    console.log(
      `${surface.padEnd(15)} ${shape.name.padEnd(36)} ns/byte ${figures}   ${last?.ms.toFixed(1)} ms, parse ${last?.parseMs.toFixed(1)} ms`,
    );
    for (const problem of found) console.log(`  ${problem}`);
  }
}
console.log(`${problems} problems`);
process.exit(problems > 0 ? 1 : 0);
