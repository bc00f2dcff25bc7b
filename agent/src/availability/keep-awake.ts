import { execa } from 'execa';
import type { Logger } from 'pino';

/** Requests come in bursts: the lock is kept a little longer than the last of them, so that it is not taken again for each. */
const RELEASE_AFTER_MS = 20_000;
/** A system that refuses now refuses for a while. */
const RETRY_AFTER_MS = 10 * 60_000;

export interface AwakeCommand {
  readonly file: string;
  readonly args: readonly string[];
}

/**
 * The program that keeps this system awake while it runs, null where there is none. All three end with us, however we end: caffeinate
 * waits for our process, the others for their standard input, which closes with us. The screen may sleep.
 */
export const awakeCommand = (platform: NodeJS.Platform, agentPid: number): AwakeCommand | null => {
  switch (platform) {
    case 'darwin':
      return { file: 'caffeinate', args: ['-i', '-w', String(agentPid)] };
    case 'linux':
      return {
        file: 'systemd-inhibit',
        args: ['--what=sleep:idle', '--who=Lai', '--why=answering requests of the fleet', '--mode=block', 'cat'],
      };
    case 'win32':
      // ES_CONTINUOUS | ES_SYSTEM_REQUIRED (0x80000001), for the thread that asked, so it must stay: it reads until its input ends.
      return {
        file: 'powershell.exe',
        args: [
          '-NoProfile',
          '-NonInteractive',
          '-Command',
          '$t = Add-Type -PassThru -Name Awake -Namespace Lai -MemberDefinition \'[DllImport("kernel32.dll")] public static extern uint ' +
            "SetThreadExecutionState(uint f);'; [void]$t::SetThreadExecutionState([uint32] 2147483649); [void][Console]::In.ReadToEnd()",
        ],
      };
    default:
      return null;
  }
};

/**
 * Keeps the machine from falling asleep while it works. Single writer of its one child process.
 *
 *   off ──work──► on ──no work──► lingering ──over──► off
 *                  ▲──── work ────────┘          on ──program ended──► refused ──later, work──► on
 */
export class KeepAwake {
  readonly #command: AwakeCommand | null;
  readonly #log: Logger;
  readonly #releaseAfterMs: number;
  #child: ReturnType<typeof spawn> | undefined;
  #releaseTimer: NodeJS.Timeout | undefined;
  #refusedAtMs: number | null = null;

  constructor(options: { log: Logger; command?: AwakeCommand | null; releaseAfterMs?: number }) {
    this.#command = options.command === undefined ? awakeCommand(process.platform, process.pid) : options.command;
    this.#log = options.log;
    this.#releaseAfterMs = options.releaseAfterMs ?? RELEASE_AFTER_MS;
  }

  get isHeld(): boolean {
    return this.#child !== undefined;
  }

  set(isWorking: boolean): void {
    if (isWorking) {
      clearTimeout(this.#releaseTimer);
      this.#releaseTimer = undefined;
      this.#take();
    } else if (this.#child && this.#releaseTimer === undefined) {
      this.#releaseTimer = setTimeout(() => this.#release(), this.#releaseAfterMs).unref();
    }
  }

  async close(): Promise<void> {
    clearTimeout(this.#releaseTimer);
    const child = this.#child;
    this.#release();
    await child;
  }

  #take(): void {
    if (this.#child || this.#command === null) return;
    if (this.#refusedAtMs !== null && performance.now() - this.#refusedAtMs < RETRY_AFTER_MS) return;
    const child = spawn(this.#command);
    this.#child = child;
    void child.then((result) => {
      if (this.#child !== child) return;
      this.#child = undefined;
      this.#refusedAtMs = performance.now();
      this.#log.debug({ program: result.command, code: result.code ?? result.exitCode }, 'this system cannot be kept awake');
    });
  }

  #release(): void {
    this.#releaseTimer = undefined;
    const child = this.#child;
    this.#child = undefined;
    child?.nodeChildProcess.stdin?.end();
    child?.kill('SIGTERM');
  }
}

const spawn = ({ file, args }: AwakeCommand) =>
  execa(file, args, {
    reject: false,
    stdin: 'pipe',
    stdout: 'ignore',
    stderr: 'ignore',
    cleanup: true,
    killDescendants: true,
    forceKillAfterDelay: 1_000,
    windowsHide: true,
  });
