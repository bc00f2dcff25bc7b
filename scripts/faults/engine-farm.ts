/** Many mock engines in one process, each on a port of its own: `node engine-farm.ts '[{"name": …}, …]'`. */
import { type MockEngineOptions, startMockEngine } from '../../agent/src/runtimes/mock-engine/mock-engine.ts';

const plans = JSON.parse(process.argv[2] ?? '[]') as MockEngineOptions[];
const engines = await Promise.all(plans.map((plan) => startMockEngine(plan)));
console.log(JSON.stringify({ urls: engines.map(({ url }) => url), timeOrigin: performance.timeOrigin }));
