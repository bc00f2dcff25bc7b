/**
 * How light is the agent? Real coordinator, Redis, mock engines and two agents as users run them: one does nothing, the other serves
 * streams. Prints a page; ends with 1 when a limit is broken.
 */
import { spawn } from 'node:child_process';
import os from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { optionsOr } from '../command-line.ts';
import { AgentDoor } from '../e2e/agent-door.ts';
import { Fleet } from '../e2e/fleet.ts';
import { readStream } from '../e2e/stream.ts';
import { type ProcessUse, useOf } from './process-use.ts';

const LIMITS = { rssMb: 80, idleCpuPercent: 0.5, eventLoopDelayMs: 50 };
const MODEL = 'story:1b';
/** As ps and top count. */
const MB = 1024 * 1024;

const USAGE = `usage: npm run bench:agent -- [options]
  --minutes <n>   of work (2)
  --streams <n>   at once (20)
  --idle <n>      seconds without any (30)`;
const values = optionsOr(USAGE, {
  minutes: { type: 'string', default: '2' },
  streams: { type: 'string', default: '20' },
  idle: { type: 'string', default: '30' },
});
const [minutes, streams, idleS] = [Number(values.minutes), Number(values.streams), Number(values.idle)];

const per = (before: ProcessUse, after: ProcessUse, seconds: number) => ({
  cpuPercent: (after.cpuMs - before.cpuMs) / (seconds * 10),
  wakeUps: (after.sleeps - before.sleeps) / seconds,
});

const watch = async (pid: number, seconds: number) => {
  const before = useOf(pid);
  let rssBytes = before.rssBytes;
  const startedMs = performance.now();
  while (performance.now() - startedMs < seconds * 1_000) {
    await pause(1_000);
    rssBytes = Math.max(rssBytes, useOf(pid).rssBytes);
  }
  return { ...per(before, useOf(pid), (performance.now() - startedMs) / 1_000), rssMb: rssBytes / MB };
};

/** The same measure in a process that does nothing: what the machine's other work adds to ours. */
const CONTROL = `const delay = require('node:perf_hooks').monitorEventLoopDelay({ resolution: 10 }); delay.enable();
  process.stdin.resume().once('end', () => { console.log(delay.max / 1e6 - 10); process.exit(); });`;
const startControl = () => {
  const child = spawn(process.execPath, ['-e', CONTROL], { stdio: ['pipe', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.on('data', (piece) => {
    text += piece;
  });
  const gone = new Promise((resolve) => child.once('close', resolve));
  return async () => {
    child.stdin.end();
    await gone;
    return Number(text);
  };
};

const node = (name: string, extra: Record<string, string>) => ({
  name,
  models: `${name === 'busy' ? MODEL : 'other'}=0.1GB,slots=${streams},tps=30,ctx=8192,caps=chat`,
  tuning: { prefillMs: 20, coldLoadMsPerGb: 100, longestTokens: 4_000 },
  agentEnv: { LAI_LOCAL_PORT: '0', LAI_MAX_CONCURRENT: String(streams), LAI_LOG_LEVEL: 'info', ...extra },
});

const fleet = await Fleet.start({ nodes: [node('idle', {}), node('busy', { LAI_MEASURE: 'true' })] });
try {
  await pause(15_000);
  const idle = await watch(fleet.node('idle').agent.pid, idleS);

  const door = new AgentDoor(fleet, 'busy');
  await door.status();
  const endControl = startControl();
  let requests = 0;
  let failures = 0;
  const untilMs = performance.now() + minutes * 60_000;
  const clients = Array.from({ length: streams }, async () => {
    while (performance.now() < untilMs) {
      const answer = await readStream(
        await fleet.chat({
          model: MODEL,
          stream: true,
          max_tokens: 60,
          messages: [{ role: 'user', content: 'Tell me a story.' }],
        }),
      );
      requests += 1;
      if (!answer.isDone || answer.errors.length > 0) failures += 1;
    }
  });
  const busy = await watch(fleet.node('busy').agent.pid, minutes * 60);
  const { eventLoopDelayMaxMs } = (await door.status()).process;
  const controlMs = await endControl();
  await Promise.all(clients);
  await pause(15_000);
  const after = useOf(fleet.node('busy').agent.pid).rssBytes / MB;

  const row = (label: string, value: string, limit = '') => console.log(`${label.padEnd(44)}${value.padStart(12)}  ${limit}`);
  console.log(
    `agent on ${os.platform()} ${os.arch()}, Node ${process.versions.node}, ${os.availableParallelism()} cores, mock engine\n`,
  );
  row('idle: memory (RSS)', `${idle.rssMb.toFixed(1)} MB`, `≤ ${LIMITS.rssMb} MB`);
  row('idle: CPU, of one core', `${idle.cpuPercent.toFixed(2)} %`, `≤ ${LIMITS.idleCpuPercent} %`);
  row('idle: wake-ups per second', idle.wakeUps.toFixed(1));
  row(`${streams} streams: requests in ${minutes} min, failed`, `${requests}, ${failures}`, '0 failed');
  row(`${streams} streams: memory (RSS), peak`, `${busy.rssMb.toFixed(1)} MB`, `≤ ${LIMITS.rssMb} MB`);
  row(`${streams} streams: CPU, of one core`, `${busy.cpuPercent.toFixed(1)} %`);
  row(
    `${streams} streams: longest pause of the event loop`,
    `${(eventLoopDelayMaxMs ?? Number.NaN).toFixed(1)} ms`,
    `≤ ${LIMITS.eventLoopDelayMs} ms more than the ${controlMs.toFixed(1)} ms of a process that does nothing`,
  );
  row('after it: memory (RSS)', `${after.toFixed(1)} MB`);
  const isLight =
    Math.max(idle.rssMb, busy.rssMb) <= LIMITS.rssMb &&
    idle.cpuPercent <= LIMITS.idleCpuPercent &&
    failures === 0 &&
    // On a busy machine everybody waits for a CPU: what a process that does nothing waits is not the agent's doing.
    (eventLoopDelayMaxMs ?? Number.POSITIVE_INFINITY) <= LIMITS.eventLoopDelayMs + controlMs;
  console.log(isLight ? '\nWithin its limits.' : '\nNOT within its limits.');
  process.exitCode = isLight ? 0 : 1;
} finally {
  await fleet.stop();
}
