import { CodedError } from '@lai/shared/errors';
import { JOIN_SYSTEMS, type JoinCommand, type JoinSystem, NewJoinCommand } from '@lai/shared/release-api';
import type { Administration } from '../../access/administration.ts';
import { isLoopback } from '../../access/client-address.ts';
import type { Lan } from '../../lan/lan.ts';
import { joinLine } from '../../releases/installers.ts';
import type { ReleaseMaker } from '../../releases/release-maker.ts';
import type { Release, Releases } from '../../releases/releases.ts';

const PLATFORMS: Record<JoinSystem, string> = { linux: 'linux-', macos: 'darwin-', windows: 'win32-' };
/** What is made for an operator who asks for the lines of all systems: most machines with a GPU to spare run it. */
const MADE_FIRST: JoinSystem = 'linux';

export interface JoinContext {
  readonly administration: Administration;
  readonly releases: Releases;
  readonly maker: ReleaseMaker;
  readonly lan: Lan | null;
  /** Where the machine reaches us, unless the operator says it; null: nowhere. */
  readonly url: string | null;
}

/**
 * The line for a machine, with a fresh token in it. The release that the machine installs is made when there is none for its system. For
 * `all`, a line for each system that there is an agent for.
 */
export const createJoinCommand = async (wish: NewJoinCommand, context: JoinContext): Promise<JoinCommand> => {
  const { os, url = context.url, isDryRun, isForUser, isInsecure, ...token } = NewJoinCommand.parse(wish);
  if (url === null)
    throw new CodedError('entry_not_found', {
      message:
        'This coordinator listens on 127.0.0.1, where no other machine reaches it. Start it with --lan (`npm start -- --lan`, `lai up --lan` or `lai serve --lan`), which adds the local network, encrypted. Behind a proxy, say its address: --url or LAI_PUBLIC_URL.',
    });
  const { protocol, hostname } = new URL(url);
  const isOpen = protocol === 'http:' && !isLoopback(hostname);
  if (isOpen && !isInsecure) {
    const message = `${url} is not encrypted: whoever is on the way can read keys and prompts, and change what is installed. Use https (--lan, or LAI_PUBLIC_URL), or say that you trust the network (isInsecure, --insecure).`;
    throw new CodedError('invalid_value', { message, param: 'url' });
  }
  if (os === 'windows' && isForUser) throw new CodedError('invalid_value', { message: ONE_USER_ON_WINDOWS, param: 'isForUser' });
  const release = await provideRelease(os, context);
  const systems = (os === 'all' ? JOIN_SYSTEMS : [os]).map((system) => ({
    os: system,
    problem: problemOf(system, { release, isForUser }),
  }));
  const issued = isDryRun ? null : await context.administration.createToken(token);
  const pin = context.lan?.pinFor(url) ?? null;
  const commands = systems.map((system) => {
    const line = { os: system.os, url, pin, token: issued?.token ?? null, isInsecure: isOpen, isForUser, isDryRun };
    return { ...system, command: system.problem === null ? joinLine(line) : null };
  });
  return {
    os,
    command: commands.find(({ command }) => command !== null)?.command ?? '',
    commands,
    token: issued?.view ?? null,
    warnings: isLoopback(hostname)
      ? [`${url} is reached from this machine only. For others start with --lan, or say the address.`]
      : [],
  };
};

/** One that a machine of this system can install; for `all`, the newest that is there, or one that is made. */
const provideRelease = async (os: JoinSystem | 'all', { releases, maker }: JoinContext): Promise<Release> => {
  const there = await releases.find('latest');
  if (there && (os === 'all' || isMadeFor(there, os))) return there;
  const system = os === 'all' ? MADE_FIRST : os;
  if (!maker.canMake) {
    const what = there ? `The release ${there.version} here is not made for ${os}.` : 'There is no release of the agent here.';
    throw new CodedError('entry_not_found', {
      message: `${what} This coordinator was installed without its sources, so it cannot make one. Unpack lai-agent-<version>.tar in ${releases.dir}; docs/releases.md says where to get it.`,
    });
  }
  await maker.make(system);
  releases.refresh();
  const made = await releases.find('latest');
  if (made && isMadeFor(made, system)) return made;
  const { problems } = await releases.shelf();
  throw new CodedError('release_failed', {
    message: `The agent for ${system} was made, and is not offered: ${problems.join('; ') || 'a newer release is there without it'}.`,
  });
};

const ONE_USER_ON_WINDOWS = 'On Windows the agent is installed for the whole machine.';

/** Why there is no line for this system. */
const problemOf = (os: JoinSystem, { release, isForUser }: { release: Release; isForUser: boolean }): string | null => {
  if (isForUser && os === 'windows') return ONE_USER_ON_WINDOWS;
  if (!isMadeFor(release, os))
    return `The release ${release.version} here is not made for ${os}. Ask for the line of this system alone, which makes it.`;
  return null;
};

const isMadeFor = ({ manifest }: Release, os: JoinSystem): boolean =>
  Object.keys(manifest.platforms).some((platform) => platform.startsWith(PLATFORMS[os]));
