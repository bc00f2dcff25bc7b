import v8 from 'node:v8';

/**
 * A process that shares its machine with models and games keeps its memory small, for a little more CPU. Measured with
 * `npm run bench:agent` under 20 streams: 129 MB with V8's defaults, 79 MB with these.
 * - Room for young objects: 1 MB instead of up to 64 MB before they are cleaned up, and the whole heap grows in smaller steps.
 * - No optimising compiler: 13 MB for its code and its work, to make the relay of a stream a third cheaper.
 * - One helper thread instead of four.
 */
const FLAGS = ['--max-semi-space-size=1', '--optimize-for-size', '--no-opt', '--no-maglev', '--v8-pool-size=1'];

/** What of it can still be set in a process that runs. */
const LATE_FLAGS = ['--semi-space-growth-factor=1', '--optimize-for-size', '--no-opt', '--no-maglev'];

/**
 * The daemon replaces itself, under the same process id, by itself with the flags; Windows cannot do that and sets what can be set late.
 * Must be imported first: memory that is taken while modules are loaded is not given back. Whoever starts it with flags of his own
 * (a debugger) gets those. Commands are too short to matter.
 */
if (process.argv[2] === 'run' && process.execArgv.length === 0) {
  if (process.execve && process.platform !== 'win32') {
    process.execve(
      process.execPath,
      [process.execPath, ...FLAGS, '--disable-warning=ExperimentalWarning', ...process.argv.slice(1)],
      process.env,
    );
  }
  for (const flag of LATE_FLAGS) v8.setFlagsFromString(flag);
}
