import { CodedError } from '@lai/shared/errors';
import type { UpdateStatus } from '@lai/shared/release-api';
import type { Hono, MiddlewareHandler } from 'hono';
import type { Administration } from '../../access/administration.ts';
import type { Actor } from '../../access/audit.ts';
import type { Action } from '../../access/authorize.ts';
import { isLoopback } from '../../access/client-address.ts';
import type { Lan } from '../../lan/lan.ts';
import type { Registry } from '../../nodes/registry.ts';
import type { ReleaseMaker } from '../../releases/release-maker.ts';
import type { Releases } from '../../releases/releases.ts';
import type { Rollouts } from '../../releases/rollouts.ts';
import { askedAt } from '../release-files.ts';
import { createJoinCommand } from './join-command.ts';
import { actorIn, mountOperations } from './operations.ts';

export interface UpdateRouteOptions {
  readonly may: (action: Action) => MiddlewareHandler;
  readonly as: (actor: Actor) => Administration;
  readonly releases: Releases;
  readonly rollouts: Rollouts;
  readonly registry: Registry;
  readonly publicUrl: string | undefined;
  readonly lan: Lan | null;
  readonly maker: ReleaseMaker;
  /** Where other machines reach us, as far as we know; null: we listen on this machine alone. */
  readonly reachableUrl: () => string | null;
}

/** How machines come into the fleet, and to newer versions. */
// biome-ignore lint/suspicious/noExplicitAny: Hono's environment is invariant, and which one the app has does not matter here
export const mountUpdateRoutes = (app: Hono<any>, options: UpdateRouteOptions): void => {
  const { may, as, rollouts, lan } = options;

  mountOperations(app, may, {
    'POST /api/v1/join-commands': ({ c, body }) =>
      createJoinCommand(body, { ...options, administration: as(actorIn(c)), url: joinUrl(askedAt(c), options) }),
    'GET /api/v1/certificate': () => {
      if (!lan) throw new CodedError('entry_not_found', { message: 'This coordinator makes no certificate of its own (--lan).' });
      return lan.proof;
    },
    'GET /api/v1/updates': () => updateStatus(options),
    'POST /api/v1/updates': ({ c, body }) => rollouts.start(actorIn(c), body),
    'DELETE /api/v1/updates': ({ c }) => rollouts.stop(actorIn(c)),
  });
};

/** An address of this machine alone is of no use to another one. */
const joinUrl = (asked: string, { publicUrl, reachableUrl }: UpdateRouteOptions): string | null =>
  publicUrl ?? (isLoopback(new URL(asked).hostname) ? reachableUrl() : asked);

const updateStatus = async ({ releases, rollouts, registry, maker }: UpdateRouteOptions): Promise<UpdateStatus> => {
  const [{ releases: all, problems }, latest] = await Promise.all([releases.shelf(), releases.find('latest')]);
  return {
    releasesDir: releases.dir,
    making: maker.inProgress,
    releases: all.map(({ version, manifest }) => ({
      ...{ version, minimumVersion: manifest.minimumVersion, platforms: Object.keys(manifest.platforms) },
      isLatest: version === latest?.version,
    })),
    problems: [...problems],
    rollout: await rollouts.current(),
    nodes: registry.list().map(({ nodeId, liveness, snapshot }) => ({
      ...{ nodeId, name: snapshot.name, version: snapshot.agentVersion, update: snapshot.update ?? null },
      liveness: liveness === 'dead' ? 'offline' : liveness,
    })),
  };
};
