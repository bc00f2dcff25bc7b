import type { IncomingMessage } from 'node:http';
import { NewJoinCommand, NewRollout, type UpdateStatus } from '@lai/shared/release-api';
import type { Context, Hono, MiddlewareHandler } from 'hono';
import type { z } from 'zod';
import type { Administration } from '../../access/administration.ts';
import type { Actor } from '../../access/audit.ts';
import type { Action } from '../../access/authorize.ts';
import type { Registry } from '../../nodes/registry.ts';
import type { Releases } from '../../releases/releases.ts';
import type { Rollouts } from '../../releases/rollouts.ts';
import { readJsonBody } from '../openai/body.ts';
import { actorOf } from '../openai/serve.ts';
import { askedAt } from '../release-files.ts';
import { createJoinCommand } from './join-command.ts';

const MAX_BODY_BYTES = 4_096;

export interface UpdateRouteOptions {
  readonly may: (action: Action) => MiddlewareHandler;
  readonly as: (actor: Actor) => Administration;
  readonly releases: Releases;
  readonly rollouts: Rollouts;
  readonly registry: Registry;
  readonly publicUrl: string | undefined;
}

/** How machines come into the fleet, and to newer versions. */
// biome-ignore lint/suspicious/noExplicitAny: Hono's environment is invariant, and which one the app has does not matter here
export const mountUpdateRoutes = (app: Hono<any>, options: UpdateRouteOptions): void => {
  const { may, as, releases, rollouts } = options;
  const actor = (c: Context): Actor => actorOf({ principal: c.get('principal'), address: c.get('client').address });
  const body = async <T>(c: Context, schema: z.ZodType<T>): Promise<T> =>
    (await readJsonBody(c.env.incoming as IncomingMessage, schema, { maxTextBytes: MAX_BODY_BYTES })).value;

  app.post('/api/v1/join-commands', may('token.write'), async (c) => {
    const url = options.publicUrl ?? askedAt(c);
    const made = await createJoinCommand(await body(c, NewJoinCommand), { administration: as(actor(c)), releases, url });
    return c.json(made, 201, { 'cache-control': 'no-store' });
  });

  app.get('/api/v1/updates', may('update.read'), async (c) => c.json(await updateStatus(options)));
  app.post('/api/v1/updates', may('update.write'), async (c) =>
    c.json(await rollouts.start(actor(c), await body(c, NewRollout)), 201),
  );
  app.delete('/api/v1/updates', may('update.write'), async (c) => c.json(await rollouts.stop(actor(c))));
};

const updateStatus = async ({ releases, rollouts, registry }: UpdateRouteOptions): Promise<UpdateStatus> => {
  const [{ releases: all, problems }, latest] = await Promise.all([releases.shelf(), releases.find('latest')]);
  return {
    releasesDir: releases.dir,
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
