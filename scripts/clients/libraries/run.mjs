// @ts-nocheck: its packages are installed by the client matrix alone, not in the workspace.
/** Runs one library's program, feature by feature, and prints a line of JSON for each. Lies beside the installed packages when it runs. */
const [client, features] = process.argv.slice(2);
const told = JSON.parse(process.env.LAI_CLIENT ?? '{}');
const program = (await import(`./${client}.mjs`)).default;

/** @param {unknown} isSo @param {unknown} what */
const expect = (isSo, what) => {
  if (!isSo) throw new Error(`not as expected: ${typeof what === 'string' ? what : JSON.stringify(what)}`);
};

/** What a call that must fail failed with. @param {Promise<unknown>} promise */
const failure = async (promise) => {
  const outcome = await promise.then(
    (value) => ({ value }),
    (error) => ({ error }),
  );
  if ('error' in outcome) return outcome.error;
  throw new Error(`it did not fail: ${JSON.stringify(outcome.value)?.slice(0, 200)}`);
};

for (const feature of features.split(',')) {
  const startedAt = performance.now();
  if (!(feature in program)) {
    console.log(JSON.stringify({ feature, outcome: 'none' }));
    continue;
  }
  try {
    const note = await program[feature]({ ...told, expect, failure });
    console.log(JSON.stringify({ feature, outcome: 'ok', ms: Math.round(performance.now() - startedAt), note }));
  } catch (error) {
    console.log(JSON.stringify({ feature, outcome: 'failed', problem: String(error?.stack ?? error).slice(0, 1_500) }));
  }
}
process.exit(0);
