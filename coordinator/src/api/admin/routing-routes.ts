import type { ConfigurationView, ProviderView, RoutePreview, RoutePreviewQuestion } from '@lai/shared/routing-api';
import type { Hono, MiddlewareHandler } from 'hono';
import type { Action } from '../../access/authorize.ts';
import type { RouteLoop } from '../../dispatch/route-loop.ts';
import type { World } from '../../routing/meaning.ts';
import { resolve } from '../../routing/resolve.ts';
import type { Step } from '../../routing/route.ts';
import { mountOperations } from './operations.ts';

export interface RoutingRouteOptions {
  readonly may: (action: Action) => MiddlewareHandler;
  readonly world: () => World;
  readonly routes: Pick<RouteLoop, 'now'>;
  readonly providers: () => readonly ProviderView[];
  readonly configuration: () => ConfigurationView;
}

// biome-ignore lint/suspicious/noExplicitAny: Hono's environment is invariant, and which one the app has does not matter here
export const mountRoutingRoutes = (app: Hono<any>, options: RoutingRouteOptions): void => {
  mountOperations(app, options.may, {
    'POST /api/v1/routes/preview': ({ body }) => preview(body, options.world(), options.routes),
    'GET /api/v1/providers': () => [...options.providers()],
    'GET /api/v1/config': () => options.configuration(),
  });
};

const preview = (question: RoutePreviewQuestion, world: World, routes: Pick<RouteLoop, 'now'>): RoutePreview => {
  const { model: asked, isForced, isComplex, staysHome } = question;
  const supposed = whileGaming(world, question.gamingOn);
  const resolution = resolve(
    {
      asked,
      needs: {
        target: {
          capabilities: [
            'chat',
            ...(question.images > 0 ? ['vision' as const] : []),
            ...(question.tools > 0 ? ['tools' as const] : []),
          ],
          contextTokens: 0,
        },
        estimatedTokens: question.tokens,
      },
      signals: { isForced, isComplex, staysHome, prefer: null, models: [] },
      caller: { staysHome: false, prefer: null, defaultProvider: null, mayUse: () => true },
    },
    supposed,
  );
  if (resolution.kind !== 'route') return nowhere(resolution.asked, because(resolution));
  const { route } = resolution;
  return {
    asked: route.asked,
    because: route.because,
    staysHome: route.staysHome,
    steps: route.steps.map((step) => ({
      name: step.name,
      kind: step.kind,
      ...(isSupposedHeld(step, world, supposed) ? SUPPOSED : routes.now(step, route.spillAfterMs)),
    })),
    skipped: route.skipped.map((step) => ({ ...step })),
  };
};

const nowhere = (asked: string, why: string): RoutePreview => ({ asked, because: why, staysHome: false, steps: [], skipped: [] });

const because = (resolution: Exclude<ReturnType<typeof resolve>, { kind: 'route' }>): string =>
  resolution.kind === 'ambiguous'
    ? `several machines have that GPU: ${resolution.nodes.join(', ')}`
    : resolution.closest.length > 0
      ? `nothing is called so; did you mean ${resolution.closest.join(' or ')}?`
      : 'nothing is called so';

const SUPPOSED = { now: 'gaming (as supposed)', isLeft: true } as const;

/** Every machine of the step is one on which gaming mode is only supposed to be on. */
const isSupposedHeld = (step: Step, world: World, supposed: World): boolean => {
  if (step.kind === 'provider' || step.target.overridesGaming || supposed === world) return false;
  const ids = step.target.nodes ?? supposed.nodes.map(({ nodeId }) => nodeId);
  return ids.length > 0 && ids.every((id) => supposed.nodes.some((node) => node.nodeId === id && node.isGaming));
};

/** The machines as the rules are to see them. */
const whileGaming = (world: World, names: readonly string[]): World => {
  const wanted = new Set(names.map((name) => name.toLowerCase()));
  if (wanted.size === 0) return world;
  const nodes = world.nodes.map((node) =>
    wanted.has(node.name.toLowerCase()) ? { ...node, isGaming: true, isHeld: true } : node,
  );
  return { ...world, nodes };
};
