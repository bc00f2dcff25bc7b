import { CodedError } from '@lai/shared/errors';
import { type JoinCommand, type JoinSystem, NewJoinCommand } from '@lai/shared/release-api';
import type { Administration } from '../../access/administration.ts';
import { isLoopback } from '../../access/client-address.ts';
import { joinLine } from '../../releases/installers.ts';
import { NO_RELEASES, type Releases } from '../../releases/releases.ts';

const PLATFORMS: Record<JoinSystem, string> = { linux: 'linux-', macos: 'darwin-', windows: 'win32-' };

/** The line for a machine, with a fresh token in it. */
export const createJoinCommand = async (
  wish: NewJoinCommand,
  context: { administration: Administration; releases: Releases; url: string },
): Promise<JoinCommand> => {
  const { os, url = context.url, isDryRun, isForUser, isInsecure, ...token } = NewJoinCommand.parse(wish);
  if (isForUser && os === 'windows')
    throw new CodedError('invalid_value', {
      message: 'On Windows the agent is installed for the whole machine.',
      param: 'isForUser',
    });
  const { protocol, hostname } = new URL(url);
  const isOpen = protocol === 'http:' && !isLoopback(hostname);
  if (isOpen && !isInsecure) {
    const message = `${url} is not encrypted: whoever is on the way can read keys and prompts, and change what is installed. Use https (LAI_PUBLIC_URL), or say that you trust the network (isInsecure, --insecure).`;
    throw new CodedError('invalid_value', { message, param: 'url' });
  }
  const release = await context.releases.find('latest');
  if (!release) throw new CodedError('entry_not_found', { message: `Nothing to install: ${NO_RELEASES}.` });
  if (!Object.keys(release.manifest.platforms).some((platform) => platform.startsWith(PLATFORMS[os])))
    throw new CodedError('entry_not_found', { message: `The release ${release.version} here is not made for ${os}.` });
  const issued = isDryRun ? null : await context.administration.createToken(token);
  return {
    os,
    command: joinLine({ os, url, token: issued?.token ?? null, isInsecure: isOpen, isForUser, isDryRun }),
    token: issued?.view ?? null,
    warnings: isLoopback(hostname)
      ? [`${url} is reached from this machine only. For others set LAI_PUBLIC_URL, or say the address.`]
      : [],
  };
};
