import { isSignedBy } from '@lai/shared/ed25519';
import { compareVersions, type ReleaseFile, ReleaseManifest, type SignedManifest } from '@lai/shared/release';
import type { RolledBack } from './trial.ts';

/** The public key that releases are signed with, put in by the release build; absent when the agent runs from source. */
declare const LAI_RELEASE_KEY: string | undefined;
export const BUILT_IN_RELEASE_KEY: string | null = typeof LAI_RELEASE_KEY === 'string' ? LAI_RELEASE_KEY : null;

/** Throws in the owner's words. What is not signed with our key is not even looked at. */
export const openManifest = async (signed: SignedManifest, releaseKey: string | null): Promise<ReleaseManifest> => {
  if (releaseKey === null)
    throw new Error('This agent knows no key that releases are signed with (LAI_RELEASE_KEY), so it takes no updates.');
  if (!(await isSignedBy(releaseKey, signed.signature, new TextEncoder().encode(signed.text))))
    throw new Error('The release is not signed with the key that this agent knows. Nothing was changed.');
  return ReleaseManifest.parse(JSON.parse(signed.text));
};

export type UpdatePlan =
  | { readonly kind: 'nothing to do' }
  | { readonly kind: 'refused'; readonly why: string }
  | {
      readonly kind: 'update';
      readonly version: string;
      readonly runtime: string;
      readonly archive: ReleaseFile;
      /** Of the archive: the agent alone, or Node too. */
      readonly holds: 'agent' | 'everything';
    };

/** Pure. What a signed release means for this machine. */
export const planUpdate = (
  manifest: ReleaseManifest,
  here: {
    readonly version: string;
    /** `os-arch`. */
    readonly platform: string;
    readonly hasRuntime: (runtime: string) => boolean;
    readonly rolledBack: RolledBack | null;
    readonly isForced: boolean;
    /** Who asked: the owner on this machine may go back anywhere, the coordinator one version. */
    readonly by: 'owner' | 'coordinator';
    /** The one before this, which is still here; null when there is none. */
    readonly previous: string | null;
  },
): UpdatePlan => {
  const { version, minimumVersion, agent } = manifest;
  const refused = (why: string): UpdatePlan => ({ kind: 'refused', why });
  const platform = Object.hasOwn(manifest.platforms, here.platform) ? manifest.platforms[here.platform] : undefined;
  if (!platform) return refused(`Version ${version} is not made for ${here.platform}.`);
  const order = compareVersions(version, here.version);
  if (order === 0) return { kind: 'nothing to do' };
  if (order < 0 && !here.isForced) return refused(`Version ${version} is older than ${here.version}; only --force goes back.`);
  if (order < 0 && here.by === 'coordinator' && version !== here.previous)
    return refused(
      `Version ${version} is older than ${here.previous ?? here.version}; only the owner goes back that far: lai-agent update --version ${version} --force on this machine.`,
    );
  if (order > 0 && compareVersions(here.version, minimumVersion) < 0)
    return refused(`Version ${version} wants ${minimumVersion} or newer first; this is ${here.version}.`);
  if (here.rolledBack?.version === version && !here.isForced)
    return refused(`Version ${version} was taken back here: ${here.rolledBack.why}. Only --force tries it again.`);
  const { runtime } = platform;
  return here.hasRuntime(runtime)
    ? { kind: 'update', version, runtime, archive: agent, holds: 'agent' }
    : { kind: 'update', version, runtime, archive: platform.archive, holds: 'everything' };
};
