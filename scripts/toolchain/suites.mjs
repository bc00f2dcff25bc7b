/** Runs the test suites one after another and counts what really ran. */
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { suiteProcess } from './children.mjs';

/**
 * @typedef {{ name: string, script: string, counts: 'itself' | 'vitest', limitMs: number }} Suite
 * `script` is one of package.json's; a suite that counts itself is one test, passed or failed.
 * @typedef {{ name: string, passed: number, failed: number, skipped: number }} Result
 */

const minutes = 60_000;

/** @type {Suite[]} */
const standardSuites = [
  // Which way imports point, and their cycles, are rules of the same pass.
  { name: 'style', script: 'check:style', counts: 'itself', limitMs: 2 * minutes },
  { name: 'types', script: 'check:types', counts: 'itself', limitMs: 6 * minutes },
  { name: 'unit', script: 'unit', counts: 'vitest', limitMs: 12 * minutes },
  { name: 'integration', script: 'integration', counts: 'vitest', limitMs: 6 * minutes },
  { name: 'e2e', script: 'e2e', counts: 'vitest', limitMs: 35 * minutes },
];

/** Wanted by name only: they need programs that not every machine can have. @type {Suite[]} */
const furtherSuites = [
  { name: 'engines', script: 'engines', counts: 'vitest', limitMs: 20 * minutes },
  { name: 'browser', script: 'browser', counts: 'vitest', limitMs: 10 * minutes },
  // Fetches 2 GB of clients the first time.
  { name: 'clients', script: 'clients', counts: 'itself', limitMs: 25 * minutes },
];

/**
 * @param {readonly string[]} args `--with <suite>`, any number of times
 * @returns {Suite[] | undefined} undefined for anything else
 */
export function suitesFor(args) {
  const chosen = [...standardSuites];
  for (let at = 0; at < args.length; at += 2) {
    const further = furtherSuites.find(({ name }) => name === args[at + 1]);
    if (args[at] !== '--with' || further === undefined) return undefined;
    chosen.push(further);
  }
  return chosen;
}

/**
 * Counts from vitest's JSON report. Trouble that no single test shows (a file that cannot be imported, an unhandled error, a
 * killed run, a run of nothing) counts as one failure: a suite that did not do its work must not look green.
 * @param {string} name
 * @param {unknown} report undefined when there is none
 * @param {boolean} ok whether the run itself ended well
 * @returns {Result}
 */
export function resultOf(name, report, ok) {
  const count = (/** @type {string} */ key) => {
    const value = typeof report === 'object' && report !== null ? Reflect.get(report, key) : 0;
    return typeof value === 'number' ? value : 0;
  };
  const passed = count('numPassedTests');
  const skipped = count('numPendingTests') + count('numTodoTests');
  const failed = count('numFailedTests');
  const didItsWork = ok && passed + skipped > 0;
  return { name, passed, failed: failed === 0 && !didItsWork ? 1 : failed, skipped };
}

/** @param {readonly Result[]} results */
export function closingLine(results) {
  const sum = (/** @type {'passed' | 'failed'} */ key) => results.reduce((total, result) => total + result[key], 0);
  return `${sum('passed')} passed, ${sum('failed')} failed`;
}

/** @param {Result} result */
export function resultLine({ name, passed, failed, skipped }) {
  const parts = [`${passed} ok`, failed > 0 ? `${failed} NOT OK` : '', skipped > 0 ? `${skipped} left out` : ''];
  return `  ${name.padEnd(12)} ${parts.filter((part) => part !== '').join(', ')}`;
}

/**
 * Files of tests by how long they ran, longest first, from vitest's JSON reports.
 * @param {readonly unknown[]} reports
 * @returns {{ file: string, ms: number }[]}
 */
export function slowestFiles(reports) {
  const files = reports.flatMap((report) => {
    const results = typeof report === 'object' && report !== null ? Reflect.get(report, 'testResults') : undefined;
    return Array.isArray(results) ? results : [];
  });
  return files
    .map(({ name, startTime, endTime }) => ({ file: String(name), ms: Number(endTime) - Number(startTime) }))
    .filter(({ ms }) => ms > 0)
    .sort((one, other) => other.ms - one.ms);
}

/** @param {readonly { file: string, ms: number }[]} files @param {string} root */
export function slowestLines(files, root) {
  return files.slice(0, 5).map(({ file, ms }) => `${(ms / 1_000).toFixed(1).padStart(7)} s  ${file.replace(root, '')}`);
}

/** @param {string} file @returns {unknown} */
function readReport(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
}

/**
 * @param {readonly Suite[]} suites
 * @param {string} root
 * @param {import('./path.mjs').Env} env
 * @returns {Promise<Result[]>}
 */
export async function runSuites(suites, root, env) {
  /** @type {Result[]} */
  const results = [];
  /** @type {unknown[]} */
  const reports = [];
  /** @type {number[]} */
  const seconds = [];
  const startedAt = performance.now();
  // Relative to the root, so that no shell in between has to quote a path.
  const folder = join('.toolchain', 'reports');
  mkdirSync(join(root, folder), { recursive: true });
  for (const { name, script, counts, limitMs } of suites) {
    const file = join(folder, `${name}.json`);
    rmSync(join(root, file), { force: true });
    const reporters = counts === 'vitest' ? ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`] : [];
    console.log(`\n── ${name} ──`);
    const suiteStartedAt = performance.now();
    const { ok, late } = await suiteProcess('pnpm', ['run', script, ...reporters], { env, cwd: root, limitMs });
    if (late) console.log(`${name} was stopped: it took longer than ${limitMs / minutes} minutes`);
    const report = counts === 'vitest' ? readReport(join(root, file)) : { numPassedTests: ok ? 1 : 0 };
    results.push(resultOf(name, report, ok));
    reports.push(report);
    seconds.push((performance.now() - suiteStartedAt) / 1_000);
  }
  console.log('\nThe five slowest files:');
  for (const line of slowestLines(slowestFiles(reports), root)) console.log(line);
  console.log(`\nIn ${((performance.now() - startedAt) / 60_000).toFixed(1)} minutes:`);
  results.forEach((result, at) => {
    console.log(`${resultLine(result)} (${seconds[at]?.toFixed(0)} s)`);
  });
  console.log('');
  return results;
}
