import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import { CodedError } from '@lai/shared/errors';
import type { ModelSpeed } from '@lai/shared/fleet-api';
import type { Hono, MiddlewareHandler } from 'hono';
import type { Action } from '../../access/authorize.ts';
import type { Figures } from '../../dispatch/figures.ts';
import type { Feed } from '../../feed/feed.ts';
import type { CommandLog } from '../../nodes/command-log.ts';
import { mountOperations } from './operations.ts';

export interface FleetRouteOptions {
  readonly may: (action: Action) => MiddlewareHandler;
  readonly feed: Feed;
  readonly commands: CommandLog;
  readonly figuresOf: Figures['of'];
  readonly isDraining: () => boolean;
}

/** The fleet for those who watch it. */
// biome-ignore lint/suspicious/noExplicitAny: Hono's environment is invariant, and which one the app has does not matter here
export const mountFleetRoutes = (app: Hono<any>, { may, feed, commands, figuresOf, isDraining }: FleetRouteOptions): void => {
  mountOperations(app, may, {
    'GET /api/v1/fleet': async ({ c }) => c.body(await feed.level(), 200, { 'content-type': 'application/json' }),
    'GET /api/v1/events': async ({ c }) => {
      if (isDraining()) throw new CodedError('shutting_down', { retryAfterSeconds: 2 });
      await feed.watch(c.env.outgoing, c.get('session')?.digest ?? c.get('principal').keyId, c.get('revoked'));
      return RESPONSE_ALREADY_SENT;
    },
    'GET /api/v1/models/matrix': () => feed.matrix(),
    'GET /api/v1/commands': ({ query }) => commands.list(query.node),
    'GET /api/v1/nodes/{id}': async ({ path: { id } }) => {
      const found = await feed.node(id);
      if (!found) throw new CodedError('entry_not_found', { message: `There is no node ${id.slice(0, 64)}.` });
      const models = found.record?.snapshot.models ?? [];
      return { node: found.node, models, speeds: models.map((model) => speedOf(model.id, figuresOf(id, model.id))) };
    },
  });
};

const speedOf = (model: string, figures: ReturnType<Figures['of']>): ModelSpeed => ({
  model,
  loadMs: figures.loadMs,
  firstTokenMs: figures.firstContentMs,
  promptTokensPerSecond: figures.prefillTokensPerSecond,
  tokensPerSecond: figures.tokensPerSecond,
});
