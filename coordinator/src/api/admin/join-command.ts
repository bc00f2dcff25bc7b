import { CodedError } from '@lai/shared/errors';
import { JOIN_SYSTEMS, type JoinCommand, type JoinSystem, NewJoinCommand } from '@lai/shared/release-api';
import type { Administration } from '../../access/administration.ts';
import { isLoopback } from '../../access/client-address.ts';
import { joinLine } from '../../releases/installers.ts';
import { NO_RELEASES, type Releases } from '../../releases/releases.ts';

const PLATFORMS: Record<JoinSystem, string> = { linux: 'linux-', macos: 'darwin-', windows: 'win32-' };

/** The line for a machine, with a fresh token in it; for `all`, a line for each system that there is an agent for. */
export const createJoinCommand = async (
  wish: NewJoinCommand,
  context: { administration: Administration; releases: Releases; url: string },
): Promise<JoinCommand> => {
  const { os, url = context.url, isDryRun, isForUser, isInsecure, ...token } = NewJoinCommand.parse(wish);
  const { protocol, hostname } = new URL(url);
  const isOpen = protocol === 'http:' && !isLoopback(hostname);
  if (isOpen && !isInsecure) {
    const message = `${url} is not encrypted: whoever is on the way can read keys and prompts, and change what is installed. Use https (LAI_PUBLIC_URL), or say that you trust the network (isInsecure, --insecure).`;
    throw new CodedError('invalid_value', { message, param: 'url' });
  }
  const release = await context.releases.find('latest');
  if (!release) throw new CodedError('entry_not_found', { message: `Nothing to install: ${NO_RELEASES}.` });
  const platforms = Object.keys(release.manifest.platforms);
  const systems = (os === 'all' ? JOIN_SYSTEMS : [os]).map((system) => ({
    os: system,
    problem: problemOf(system, { platforms, version: release.version, isForUser }),
  }));
  const [first] = systems;
  if (first && systems.every(({ problem }) => problem !== null))
    throw new CodedError('entry_not_found', { message: first.problem ?? '' });
  const issued = isDryRun ? null : await context.administration.createToken(token);
  const commands = systems.map((system) => {
    const line = { os: system.os, url, token: issued?.token ?? null, isInsecure: isOpen, isForUser, isDryRun };
    return { ...system, command: system.problem === null ? joinLine(line) : null };
  });
  return {
    os,
    command: commands.find(({ command }) => command !== null)?.command ?? '',
    commands,
    token: issued?.view ?? null,
    warnings: isLoopback(hostname)
      ? [`${url} is reached from this machine only. For others set LAI_PUBLIC_URL, or say the address.`]
      : [],
  };
};

/** Why there is no line for this system. */
const problemOf = (
  os: JoinSystem,
  { platforms, version, isForUser }: { platforms: readonly string[]; version: string; isForUser: boolean },
): string | null => {
  if (isForUser && os === 'windows') return 'On Windows the agent is installed for the whole machine.';
  if (!platforms.some((platform) => platform.startsWith(PLATFORMS[os])))
    return `The release ${version} here is not made for ${os}.`;
  return null;
};
