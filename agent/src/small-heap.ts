import v8 from 'node:v8';
import { becomeSmall, LATE_HEAP_FLAGS } from './heap-flags.ts';

/**
 * The daemon replaces itself, under the same process id, by itself with the flags; Windows cannot do that and sets what can be set late.
 * Must be imported first: memory that is taken while modules are loaded is not given back. Whoever starts it with flags of his own
 * (a debugger, the launcher) gets those. Commands are too short to matter.
 */
if (process.argv[2] === 'run' && process.execArgv.length === 0) {
  becomeSmall(process.argv.slice(1));
  for (const flag of LATE_HEAP_FLAGS) v8.setFlagsFromString(flag);
}
