/** Starting other programs: quietly to their end, in the foreground, or as a suite with a deadline. */
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { say } from './say.mjs';

/** @typedef {import('./path.mjs').Env} Env */

/** How often a long step says that it goes on. */
const patienceMs = 5_000;

/**
 * Runs a program to its end and keeps what it prints; a program that cannot start counts as failed with the reason as output.
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ env: Env, cwd?: string, patience?: string }} options `patience`: what goes on, said every 5 s with the newest line of
 * progress
 * @returns {Promise<{ ok: boolean, output: string }>}
 */
export function quietly(command, args, { env, cwd, patience }) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { env, ...(cwd === undefined ? {} : { cwd }), stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    const keep = (/** @type {Buffer} */ chunk) => {
      output += chunk;
    };
    const startedAt = performance.now();
    const ticking =
      patience === undefined
        ? undefined
        : setInterval(() => say(stillGoing(patience, Math.round((performance.now() - startedAt) / 1_000), output)), patienceMs);
    /** @type {(result: { ok: boolean, output: string }) => void} */
    const end = (result) => {
      clearInterval(ticking);
      resolve(result);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    child.once('error', (error) => end({ ok: false, output: error.message }));
    child.once('close', (code) => end({ ok: code === 0, output: output.trim() }));
  });
}

/**
 * One line about a step that takes its time: pnpm counts packages in lines of its own.
 * @param {string} what @param {number} seconds @param {string} output
 */
export function stillGoing(what, seconds, output) {
  const counted = [...output.matchAll(/^Progress: (.+)$/gm)].at(-1)?.[1]?.replace(/, done$/, '');
  return `still ${what}, ${seconds} s${counted === undefined ? '' : ` (${counted})`}`;
}

/** The exit status that a shell would report. @param {number | null} code @param {NodeJS.Signals | null} signal */
export function exitStatus(code, signal) {
  return code ?? 128 + (constants.signals[signal ?? 'SIGKILL'] ?? 0);
}

/** @type {NodeJS.Signals[]} */
const forwarded = ['SIGINT', 'SIGTERM', 'SIGHUP'];

/** Ctrl-C reaches us from the terminal and once more from npm; copies this close together are one wish. */
const sameWishMs = 500;

/**
 * Runs a program as if it had been started instead of us: same output, same exit status, and each signal exactly once. For the
 * last it gets a process group of its own (`alone`), because a program may take a second SIGTERM for "at once": otherwise one
 * signal to the whole group would reach it directly and through us. An interactive program must share our terminal instead.
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ env: Env, alone: boolean }} options
 * @returns {Promise<number>}
 */
export function foreground(command, args, { env, alone }) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { env, stdio: 'inherit', detached: alone });
    let lastForwardedAt = Number.NEGATIVE_INFINITY;
    for (const signal of forwarded) {
      process.on(signal, () => {
        // Sharing the terminal, the program has had its Ctrl-C already.
        if (!alone && signal === 'SIGINT' && process.stdin.isTTY === true) return;
        if (performance.now() - lastForwardedAt < sameWishMs) return;
        lastForwardedAt = performance.now();
        child.kill(signal);
      });
    }
    child.once('error', (error) => {
      process.stderr.write(`lai: ${command} could not be started: ${error.message}\n`);
      resolve(127);
    });
    child.once('exit', (code, signal) => resolve(exitStatus(code, signal)));
  });
}

/**
 * Runs a test suite in a process group of its own, so that nothing it started outlives it or its deadline.
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ env: Env, cwd: string, limitMs: number }} options
 * @returns {Promise<{ ok: boolean, late: boolean }>}
 */
export function suiteProcess(command, args, { env, cwd, limitMs }) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { env, cwd, stdio: ['ignore', 'inherit', 'inherit'], detached: true });
    let late = false;
    const signalGroup = (/** @type {NodeJS.Signals} */ signal) => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, signal);
      } catch {
        // The group is already empty.
      }
    };
    const deadline = setTimeout(() => {
      late = true;
      signalGroup('SIGKILL');
    }, limitMs);
    /** @type {(signal: NodeJS.Signals) => void} */
    const interrupt = (signal) => {
      signalGroup('SIGTERM');
      process.exit(exitStatus(null, signal));
    };
    for (const signal of forwarded) process.once(signal, interrupt);
    const end = (/** @type {boolean} */ ok) => {
      clearTimeout(deadline);
      for (const signal of forwarded) process.off(signal, interrupt);
      signalGroup('SIGKILL');
      resolve({ ok: ok && !late, late });
    };
    child.once('error', () => end(false));
    child.once('exit', (code) => end(code === 0));
  });
}
