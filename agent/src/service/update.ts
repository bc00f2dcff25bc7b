import { existsSync } from 'node:fs';
import { compareVersions, type SignedManifest, type UpdateReport } from '@lai/shared/release';
import type { Logger } from 'pino';
import { addVersion, fetchManifest } from './download.ts';
import { openManifest, planUpdate } from './release.ts';
import { runCommand } from './service.ts';
import { endTrial, forgetRolledBack, readRolledBack, readTrial, writeTrial } from './trial.ts';
import { installedVersions, keepOnly, nodePath, type Program, runtimeOf, switchTo } from './versions.ts';

/** What runs may finish within this before an update goes on without it. */
const DRAIN_LIMIT_MS = 10 * 60_000;

/** Whoever asked hears of it before the line is cut. */
const FAREWELL_MS = 500;

export interface UpdateWish {
  /** Without it: the newest that the coordinator has. */
  readonly version?: string | undefined;
  /** The signed release, if it came along. */
  readonly signed?: SignedManifest;
  /** Go back to an older version, or try one again that was taken back. */
  readonly isForced: boolean;
  /** Whose wish it is; without it the coordinator's, who may do less. */
  readonly by?: 'owner' | 'coordinator';
}

export type UpdateNews = 'downloading' | 'draining' | 'restarting';

export type UpdateOutcome =
  | { readonly kind: 'unchanged'; readonly version: string }
  /** The process ends now and comes back as this version. */
  | { readonly kind: 'restarting'; readonly version: string };

/**
 * Brings this installation to another version: download, check, drain, switch, end with code 75. From there on the launcher judges
 * (trial.ts), until `connected` is called in the new version. Single writer of the program folder while the agent runs.
 */
export class Updates {
  readonly #program: Program;
  readonly #version: string;
  readonly #coordinatorUrl: string;
  readonly #releaseKey: string | null;
  readonly #isAllowed: () => boolean;
  readonly #drain: (limitMs: number) => Promise<void>;
  readonly #undrain: () => void;
  readonly #restart: () => void;
  readonly #onChange: () => void;
  readonly #log: Logger;
  #state: Omit<UpdateReport, 'isAllowed'>;
  #running: Promise<UpdateOutcome> | null = null;

  constructor(options: {
    program: Program;
    version: string;
    coordinatorUrl: string;
    releaseKey: string | null;
    /** The owner's word. */
    isAllowed: () => boolean;
    /** Takes no new work, and resolves when what runs is done or the time is up. */
    drain: (limitMs: number) => Promise<void>;
    undrain: () => void;
    /** Ends this process with the code for another version. */
    restart: () => void;
    onChange: () => void;
    log: Logger;
  }) {
    this.#program = options.program;
    this.#version = options.version;
    this.#coordinatorUrl = options.coordinatorUrl;
    this.#releaseKey = options.releaseKey;
    this.#isAllowed = options.isAllowed;
    this.#drain = options.drain;
    this.#undrain = options.undrain;
    this.#restart = options.restart;
    this.#onChange = options.onChange;
    this.#log = options.log;
    this.#state = initialState(options.program, options.version);
  }

  report(): UpdateReport {
    return { isAllowed: this.#isAllowed(), ...this.#state };
  }

  /** The coordinator knows us: this version has proved itself, and the ones before the last are not needed any more. */
  connected(): void {
    const trial = readTrial(this.#program.dir);
    if (trial?.version !== this.#version) return;
    endTrial(this.#program.dir);
    forgetRolledBack(this.#program.dir);
    keepOnly(this.#program, [this.#version, trial.previous]);
    this.#log.info({ version: this.#version, previous: trial.previous }, 'the new version has proved itself');
    this.#become('none', null);
  }

  /** A second wish joins the one that is under way. Fails in words for people; then nothing has changed. */
  update(wish: UpdateWish, onNews: (news: UpdateNews) => void = () => {}): Promise<UpdateOutcome> {
    this.#running ??= this.#update(wish, onNews).finally(() => {
      this.#running = null;
    });
    return this.#running;
  }

  async #update(wish: UpdateWish, onNews: (news: UpdateNews) => void): Promise<UpdateOutcome> {
    if (!this.#isAllowed()) throw new Error('The policy on this machine forbids updates ("updates": "forbid" in policy.json).');
    if (readTrial(this.#program.dir)?.version === this.#version)
      throw new Error(`Version ${this.#version} is still on trial; wait until it has been connected once.`);
    const signed = wish.signed ?? (await fetchManifest(this.#coordinatorUrl, wish.version));
    const manifest = await openManifest(signed, this.#releaseKey);
    if (wish.version !== undefined && manifest.version !== wish.version)
      throw new Error(`The coordinator has version ${manifest.version}, not ${wish.version}.`);
    const plan = planUpdate(manifest, {
      version: this.#version,
      platform: `${process.platform}-${process.arch}`,
      hasRuntime: (runtime) => existsSync(nodePath(this.#program, runtime)),
      rolledBack: readRolledBack(this.#program.dir),
      isForced: wish.isForced,
      by: wish.by ?? 'coordinator',
      previous: newestBelow(this.#version, installedVersions(this.#program)),
    });
    if (plan.kind === 'refused') throw new Error(plan.why);
    if (plan.kind === 'nothing to do') return { kind: 'unchanged', version: this.#version };
    const { version } = plan;
    const step = (news: UpdateNews) => {
      this.#become(news, version);
      onNews(news);
    };
    try {
      step('downloading');
      if (!this.#isHere(version, plan.runtime) || wish.isForced)
        await addVersion(plan, { program: this.#program, coordinatorUrl: this.#coordinatorUrl, run: runCommand });
      step('draining');
      await this.#drain(DRAIN_LIMIT_MS);
      writeTrial(this.#program.dir, { version, previous: this.#version, starts: 0, deadlineMs: null });
      switchTo(this.#program, version);
    } catch (error) {
      endTrial(this.#program.dir);
      this.#undrain();
      this.#become('failed', version, error instanceof Error ? error.message : String(error));
      throw error;
    }
    this.#log.info({ version, from: this.#version }, 'starting again as another version');
    step('restarting');
    setTimeout(this.#restart, FAREWELL_MS);
    return { kind: 'restarting', version };
  }

  /** It went through the checks before it got its place. */
  #isHere(version: string, runtime: string): boolean {
    return installedVersions(this.#program).includes(version) && runtimeOf(this.#program, version) === runtime;
  }

  #become(state: string, version: string | null, detail: string | null = null): void {
    this.#state = { state, version, detail: detail?.slice(0, 500) ?? null };
    this.#onChange();
  }
}

const newestBelow = (version: string, versions: readonly string[]): string | null =>
  versions
    .filter((other) => compareVersions(other, version) < 0)
    .toSorted(compareVersions)
    .at(-1) ?? null;

const initialState = (program: Program, version: string): Omit<UpdateReport, 'isAllowed'> => {
  if (readTrial(program.dir)?.version === version) return { state: 'trial', version, detail: null };
  const rolledBack = readRolledBack(program.dir);
  return rolledBack && rolledBack.version !== version
    ? { state: 'rolled_back', version: rolledBack.version, detail: rolledBack.why }
    : { state: 'none', version: null, detail: null };
};
