/** `npm run fuzz -- bodies --runs 100000`: a property with many drawn inputs. Exits with 1 when one of them breaks it. */
import { parseArgs } from 'node:util';
import { readOrExplain } from '../command-line.ts';
import { runCampaign } from './campaign.ts';
import { CAMPAIGNS } from './campaigns.ts';

const USAGE = `usage: npm run fuzz -- <campaign>... [options]     without a campaign: all of them
  --runs <n>   so many inputs each (what each campaign's line says)
  --seed <s>   draws the same inputs again (a new one each time)
  --path <p>   goes straight to the input that a report named
campaigns:
${Object.entries(CAMPAIGNS)
  .map(([name, { about, runs }]) => `  ${name.padEnd(14)} ${about} (${runs})`)
  .join('\n')}`;

const whole = (name: string, given: string): number => {
  const number = Number(given);
  if (!Number.isSafeInteger(number)) throw new Error(`${name} wants a whole number, not "${given}".`);
  return number;
};

const options = readOrExplain(USAGE, (args) => {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { runs: { type: 'string' }, seed: { type: 'string' }, path: { type: 'string' } },
  });
  const unknown = positionals.find((name) => !Object.hasOwn(CAMPAIGNS, name));
  if (unknown !== undefined) throw new Error(`There is no campaign "${unknown}".`);
  return {
    names: positionals.length > 0 ? positionals : Object.keys(CAMPAIGNS),
    runs: values.runs === undefined ? null : whole('--runs', values.runs),
    seed: values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : whole('--seed', values.seed),
    path: values.path,
  };
});

let violations = 0;
for (const [name, campaign] of Object.entries(CAMPAIGNS)) {
  if (!options.names.includes(name)) continue;
  const startedAtMs = performance.now();
  const { runs, violation } = await runCampaign(campaign, { ...options, runs: options.runs ?? campaign.runs });
  const seconds = ((performance.now() - startedAtMs) / 1_000).toFixed(1);
  console.log(`${name}: ${runs} inputs, ${violation ? 1 : 0} violations, seed ${options.seed}, ${seconds} s`);
  if (!violation) continue;
  violations += 1;
  console.log(`${violation.report}\nagain: npm run fuzz -- ${name} --seed ${violation.seed} --path ${violation.path}`);
}
process.exit(violations > 0 ? 1 : 0);
