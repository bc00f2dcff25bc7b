#!/usr/bin/env node
// A stand-in for nvidia-smi on a machine without a GPU: a card whose memory is held by the real processes of a real llama-server. Each
// process that the router of LAI_TEST_MODELS_DIR started for a model holds 1 GiB while it lives, and half a second longer.
import fs from 'node:fs';

const MODEL_MIB = 1024;
const IDLE_MIB = 300;
const TOTAL_MIB = 8192;
const LAG_MS = 500;
const folder = process.env['LAI_TEST_MODELS_DIR'];

/** @param {string} file */
const read = (file) => {
  try {
    return fs.readFileSync(file, 'latin1');
  } catch {
    return '';
  }
};
const runners = () => {
  const all = fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  const parents = new Map(
    all.map((pid) => {
      const stat = read(`/proc/${pid}/stat`);
      const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      return [pid, state === 'Z' ? '0' : parent];
    }),
  );
  // The agent has the same folder among its arguments.
  /** @param {string | undefined} pid */
  const isRouter = (pid) =>
    read(`/proc/${pid}/comm`).startsWith('llama') && read(`/proc/${pid}/cmdline`).includes(`--models-dir\0${folder}\0`);
  const routers = new Set(all.filter((pid) => isRouter(pid) && !isRouter(parents.get(pid))));
  return all.filter((pid) => routers.has(parents.get(pid) ?? ''));
};
const held = new Map();
const usedMib = () => {
  const now = Date.now();
  for (const pid of runners()) held.set(pid, now);
  for (const [pid, seenAt] of held) if (now - seenAt > LAG_MS) held.delete(pid);
  return IDLE_MIB + held.size * MODEL_MIB;
};

const args = process.argv.slice(2);
if (args.includes('-q')) {
  const processes = runners()
    .map(
      (pid) =>
        `<process_info><pid>${pid}</pid><type>C</type><process_name>llama-server</process_name><used_memory>${MODEL_MIB} MiB</used_memory></process_info>`,
    )
    .join('');
  console.log(`<?xml version="1.0" ?><nvidia_smi_log><driver_version>570.0</driver_version><gpu id="0"><product_name>Stand-in</product_name>
<uuid>GPU-0</uuid><fb_memory_usage><total>${TOTAL_MIB} MiB</total><used>${usedMib()} MiB</used><free>1 MiB</free></fb_memory_usage>
<processes>${processes}</processes></gpu></nvidia_smi_log>`);
} else {
  const loop = args.find((arg) => arg.startsWith('--loop-ms='));
  const print = () => {
    const used = usedMib();
    console.log(`0, GPU-0, 570.0, ${TOTAL_MIB}, ${used}, ${TOTAL_MIB - used}, 3, 41, 18.42, Stand-in`);
  };
  print();
  if (loop) setInterval(print, Number(loop.slice('--loop-ms='.length)));
}
