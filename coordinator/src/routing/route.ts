import type { Permit } from './stays-home.ts';
import type { Target } from './target.ts';

/** One place where a request may be answered. The dispatcher works the steps of a route in order, under one deadline. */
export type Step = FleetStep | ProviderStep;

export interface FleetStep {
  readonly kind: 'fleet';
  /** What `x-lai-route` and `lai explain` call it: a model, a group or a node. */
  readonly name: string;
  readonly target: Target;
}

export interface ProviderStep {
  readonly kind: 'provider';
  readonly name: string;
  readonly providerId: string;
  /** The provider's own name of the model. */
  readonly model: string;
  readonly place: ProviderPlace;
  /** Without it no provider attempt starts. */
  readonly permit: Permit;
}

/** `home`: an engine in the private network without an agent. A request that goes there does not leave home. */
export type ProviderPlace = 'cloud' | 'home';

/** Why a step of a route is not tried, or was left without an answer. A closed list that clients may switch on. */
export type SkipReason =
  | 'stays_home'
  | 'model_not_allowed'
  | 'capability_missing'
  | 'context_too_short'
  | 'no_model'
  | 'not_connected'
  | 'provider_disabled'
  | 'too_many_steps';

export interface SkippedStep {
  readonly name: string;
  readonly reason: SkipReason;
  readonly detail: string;
}

export interface Route {
  /** The name as the client wrote it; `auto` when it wrote none. */
  readonly asked: string;
  /** Which rule decided, in words: "alias gaming-pc", "auto: 5,000 tokens". */
  readonly because: string;
  readonly steps: readonly Step[];
  readonly skipped: readonly SkippedStep[];
  /** How long a step with a successor may let a request wait for a slot; null means for as long as the request waits at all. */
  readonly spillAfterMs: number | null;
  readonly staysHome: boolean;
}

/** What every step of a route must be able to do. */
export interface Needs {
  /** All that the scheduler is to be told of the request, but for which model and where. */
  readonly target: Omit<Target, 'model' | 'nodes' | 'overridesGaming'>;
  /** Prompt, tools, images and requested output, estimated: what the thresholds of the rules are compared with. */
  readonly estimatedTokens: number;
}
