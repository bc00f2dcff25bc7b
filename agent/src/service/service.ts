import { execFile } from 'node:child_process';
import { win32 } from 'node:path';

/**
 * The contract with what starts programs on an operating system: systemd, launchd, Windows' service control. One implementation per
 * system (systemd.ts, launchd.ts, windows.ts), chosen in this-system.ts. Each is built from an `Installation` and a `RunCommand`, so
 * that its commands can be checked word by word on any machine.
 */
export interface ServiceManager {
  /** Registers the agent and lets it start with the machine. Does not start it. The same twice is 'unchanged' and touches nothing. */
  install(): Promise<InstallOutcome>;
  start(): Promise<void>;
  /** Returns when it has stopped; stopping what does not run is no fault. */
  stop(): Promise<void>;
  restart(): Promise<void>;
  status(): Promise<ServiceStatus>;
  /** Stops it and takes the registration away. Files of ours elsewhere stay; what is not there is no fault. */
  uninstall(): Promise<void>;
}

export type InstallOutcome = 'created' | 'changed' | 'unchanged';

export type ServiceStatus =
  | { readonly kind: 'absent' }
  | {
      readonly kind: 'running' | 'stopped' | 'failed';
      /** Starts with the machine. */
      readonly isEnabled: boolean;
      readonly pid: number | null;
      /** In the system's own words, for people. */
      readonly detail: string | null;
    };

/** `system`: starts with the machine, under an account of its own. `user`: starts with its owner's session, needs no rights. */
export type Scope = 'system' | 'user';

/** What gets registered. Nothing in it changes with an update: the launcher behind `command` looks up which version is current. */
export interface Installation {
  readonly scope: Scope;
  /** The unit's, label's or service's name, as the system knows it. */
  readonly name: string;
  /** File that registers it; null where registration is no file (Windows). */
  readonly registrationPath: string | null;
  /** Program and arguments, absolute. */
  readonly command: readonly [string, ...string[]];
  /** Account it runs as; null for whoever installs it (`user`), or for the system's own (Windows). */
  readonly account: string | null;
  /** What the process finds in its environment, besides what the system gives. No secrets. */
  readonly environment: Readonly<Record<string, string>>;
  readonly dataDir: string;
  /** Where standard output goes; null where the system keeps it (journald). */
  readonly logPath: string | null;
}

/** Nothing starts services here (a container, an image that is being built): what is registered starts when something does. */
export class NothingStartsServices extends Error {}

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program without a shell. A program that ends badly is an answer; one that cannot be started is an error. */
export type RunCommand = (program: string, args: readonly string[]) => Promise<Ran>;

const COMMAND_LIMIT_MS = 60_000;

/** Windows looks for programs where we stand before it looks where its own are; whoever installs may stand among downloads. */
const standing = process.platform === 'win32' ? { cwd: win32.join(process.env['SystemRoot'] ?? 'C:\\Windows', 'System32') } : {};

export const runCommand: RunCommand = (program, args) =>
  new Promise((resolve, reject) => {
    execFile(program, [...args], { timeout: COMMAND_LIMIT_MS, windowsHide: true, ...standing }, (error, stdout, stderr) => {
      if (error && typeof error.code !== 'number')
        reject(new Error(`${program} could not be run: ${error.message}`, { cause: error }));
      else resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr });
    });
  });

/** For commands that must work. */
export const mustRun = async (run: RunCommand, program: string, args: readonly string[]): Promise<string> => {
  const { code, stdout, stderr } = await run(program, args);
  if (code === 0) return stdout;
  throw new Error(`${[program, ...args].join(' ')} ended with ${code}: ${(stderr || stdout).trim().slice(0, 500)}`);
};
