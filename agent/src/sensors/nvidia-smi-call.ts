import type { ChildProcess } from 'node:child_process';
import diagnostics from 'node:diagnostics_channel';
import type smi from 'node-nvidia-smi';
import { killShell } from './kill-shell.ts';

export type NvidiaSmiCall = {
  /** The raw tree; rejects when the program fails or prints no XML. */
  tree: Promise<unknown>;
  /** Settles when the process is gone, however long that takes. */
  gone: Promise<void>;
  kill(): void;
};

/**
 * `node-nvidia-smi` starts `nvidia-smi -q -x` and keeps the process to itself: no deadline, PATH from `process.env` only, and any
 * word on standard error counts as failure. Node announces every started process on a diagnostics channel, and the package
 * starts its own before it returns, so listening for just that moment gives us the process, and with it what the package lacks.
 */
export function callNvidiaSmi(searchPath: string, askPackage: typeof smi): NvidiaSmiCall {
  const found: { program: ChildProcess | null } = { program: null };
  const listen = (message: unknown): void => {
    found.program ??= (message as { process: ChildProcess }).process;
  };
  const tree = Promise.withResolvers<unknown>();
  const path = process.env['PATH'];
  diagnostics.subscribe('child_process', listen);
  process.env['PATH'] = searchPath;
  try {
    askPackage((error, data) => {
      if (error) tree.reject(error instanceof Error ? error : new Error(error));
      else tree.resolve(data);
    });
  } finally {
    if (path === undefined) delete process.env['PATH'];
    else process.env['PATH'] = path;
    diagnostics.unsubscribe('child_process', listen);
  }
  const { program } = found;
  // The package collects standard error to call it a failure; here it is drained unread.
  program?.stderr?.removeAllListeners('data').resume();
  return {
    tree: tree.promise,
    gone:
      program === null
        ? tree.promise.then(noop, noop)
        : new Promise((done) => program.once('close', () => done()).once('error', () => done())),
    kill: () => (program === null ? undefined : killShell(program)),
  };
}

const noop = (): void => {};
