import type { IncomingHttpHeaders } from 'node:http';
import { CodedError, type ErrorCode } from '@lai/shared/errors';
import type { Principal } from '../../access/api-keys.ts';
import { mayUse } from '../../access/authorize.ts';
import { demand } from '../../access/middleware.ts';
import { type Meaning, meaningOf, type World } from '../../routing/meaning.ts';
import { resolve } from '../../routing/resolve.ts';
import type { Route, SkippedStep, SkipReason } from '../../routing/route.ts';
import { type ComplexWhen, signalsOf } from '../../routing/signals.ts';
import { AUTO, type Target } from '../../routing/target.ts';
import { type QuestionSignals, routingHeaders } from './question-signals.ts';

/** Where the household's rules are kept. */
export interface RoutingDoor {
  readonly world: () => World;
  readonly complexWhen: () => ComplexWhen;
}

/** Of a client's request, what decides where it may go. */
export interface Routable {
  /** Model, capabilities and context as the body asks for them. */
  readonly target: Target;
  readonly signals: QuestionSignals;
  readonly headers: IncomingHttpHeaders;
}

/** Steps for a request of this principal. Throws CodedError when there are none, or the principal may not use what it asks for. */
export const routeFor = ({ target, signals, headers }: Routable, principal: Principal, door: RoutingDoor): Route => {
  const world = door.world();
  const { model: asked, ...needs } = target;
  const read = signalsOf({ ...signals, headers: routingHeaders(headers) }, door.complexWhen());
  const meaning = meaningOf(read.models.length > 0 && asked === AUTO ? (read.models[0] ?? asked) : asked, world);
  const isGranted = principal.models === null || grants(principal.models, asked, meaning);
  const limits = isGranted ? {} : { models: principal.models ?? [] };
  if (NAMES_A_MODEL.has(meaning.kind)) demand(principal, 'inference.run', { model: asked });
  const resolution = resolve(
    {
      asked: asked === AUTO && read.models.length > 0 ? '' : asked,
      needs: { target: { ...needs, ...limits }, estimatedTokens: signals.estimatedTokens },
      signals: read,
      caller: {
        staysHome: false,
        prefer: null,
        defaultProvider: null,
        mayUse: (model) => isGranted || mayUse(principal, model),
      },
    },
    world,
  );
  switch (resolution.kind) {
    case 'route':
      if (resolution.route.steps.length > 0) return resolution.route;
      return without(resolution.route, { ...target, ...limits }, NAMES_A_MODEL.has(meaning.kind) || meaning.kind === 'auto');
    case 'ambiguous':
      throw new CodedError('invalid_value', {
        message: `"${resolution.asked}" means the GPU of several machines: ${resolution.nodes.join(', ')}. Ask for one of them by its name.`,
        param: 'model',
      });
    case 'unknown':
      // The dispatcher says what there is instead, or waits for a fleet that has not connected yet.
      return single(target, resolution.asked, resolution.closest.map((name) => `"${name}"`).join(' or '));
  }
};

/** Names that stand for one model, which a key must name itself. */
const NAMES_A_MODEL: ReadonlySet<Meaning['kind']> = new Set<Meaning['kind']>(['model', 'unknown']);

/** A key's list that names an alias, a group or `auto` gives it all that this leads to. Patterns name aliases, but no places. */
const grants = (patterns: readonly string[], asked: string, { kind }: Meaning): boolean => {
  const exact = patterns.some((pattern) => pattern.toLowerCase() === asked.toLowerCase());
  return exact || (kind === 'alias' && mayUse({ models: patterns }, asked));
};

const single = (target: Target, asked: string, closest = ''): Route => ({
  asked,
  because: closest === '' ? `model ${asked}` : `no model ${asked}; closest: ${closest}`,
  steps: [{ kind: 'fleet', name: asked, target }],
  skipped: [],
  spillAfterMs: null,
  staysHome: false,
});

/** No step can do it. What the whole fleet lacks the dispatcher says best, machine by machine. */
const without = ({ asked, skipped }: Route, target: Target, isAnywhere: boolean): Route => {
  const reasons = new Set(skipped.map(({ reason }) => reason));
  const isOfFleet = reasons.size === 0 || [...reasons].every((reason) => OF_FLEET.has(reason));
  if (isOfFleet && isAnywhere) return { ...single(target, asked), skipped };
  const code = CODES.find(([reason]) => reasons.has(reason))?.[1] ?? 'no_capacity';
  throw new CodedError(code, { message: sentenceFor(asked, skipped), param: 'model' });
};

const OF_FLEET: ReadonlySet<SkipReason> = new Set<SkipReason>(['capability_missing', 'context_too_short', 'no_model']);

/** The reason that says most, first. */
const CODES: readonly (readonly [SkipReason, ErrorCode])[] = [
  ['stays_home', 'stays_home'],
  ['model_not_allowed', 'model_not_allowed'],
  ['capability_missing', 'capability_missing'],
  ['context_too_short', 'context_length_exceeded'],
  ['no_model', 'model_not_found'],
];

const sentenceFor = (asked: string, skipped: readonly SkippedStep[]): string =>
  `Nothing may serve this request for ${JSON.stringify(asked)}. ${skipped.map(({ name, detail }) => `${name}: ${detail}`).join('; ')}.`;
