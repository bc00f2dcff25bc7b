import { z } from 'zod';

/** Names of aliases, groups and models in the rules: anything a client may send as `model`. */
const Name = z.string().trim().min(1).max(512);
const Chain = z.array(Name).max(16);

export const Home = z.enum(['only', 'allowed']);
export const PREFERENCES = ['local', 'cheapest', 'quality'] as const;
export const Preference = z.enum(PREFERENCES);
export type Preference = z.infer<typeof Preference>;

/** How long a step may let a request wait; `never` means that only the request's own deadline ends it. */
const SpillAfterMs = z.union([z.literal('never'), z.number().int().positive().max(600_000)]);

/** What may be said of a name, whatever it means. */
const policy = {
  fallback: Chain.optional().describe('Names that are tried in order when the name itself cannot be served.'),
  home: Home.optional().describe('`only`: requests for this name never reach a cloud provider.'),
  prefer: Preference.optional().describe('Order of the steps: local first, cheapest first, or as written (quality).'),
  spillAfterMs: SpillAfterMs.optional().describe('Wait for a slot before the next step is tried, in ms, or `never`.'),
};

/** Exactly one of the first five says where the name leads. */
export const AliasRule = z
  .strictObject({
    model: Name.optional().describe('A model that nodes have.'),
    models: Chain.min(1).optional().describe('Models in order of preference.'),
    group: Name.optional().describe('A group of nodes and providers.'),
    node: Name.optional().describe('One node, by its name.'),
    provider: Name.optional().describe('A provider; `model` then is the provider’s own name of the model.'),
    ...policy,
  })
  .refine(
    ({ model, models, group, node, provider }) =>
      [provider ?? model, models, group, node].filter((m) => m !== undefined).length === 1,
    {
      error: 'an alias needs exactly one of model, models, group, node, or provider (with or without model)',
    },
  );
export type AliasRule = z.infer<typeof AliasRule>;

export const ModelRule = z.strictObject(policy);
export type ModelRule = z.infer<typeof ModelRule>;

/** `routing.yaml`, as written; every key is optional. */
export const RoutingRules = z.strictObject({
  default: Name.default('auto').describe('What a request without a model means.'),
  environments: z.record(Name, Name).default({}).describe('What `auto` means where LAI_ENV has this name.'),
  thresholds: z
    .strictObject({
      smallTokens: z.number().int().positive().default(2_000),
      mediumTokens: z.number().int().positive().default(16_000),
    })
    .refine(({ smallTokens, mediumTokens }) => smallTokens <= mediumTokens, { error: 'smallTokens must not exceed mediumTokens' })
    .prefault({}),
  spillAfterMs: SpillAfterMs.default(8_000),
  home: Home.default('allowed').describe('`only`: no request of anybody ever reaches a cloud provider.'),
  prefer: Preference.optional(),
  groups: z.record(Name, Chain).default({}).describe('Nodes by name, and providers by id.'),
  aliases: z.record(Name, AliasRule).default({}),
  models: z.record(Name, ModelRule).default({}),
  complex: z
    .strictObject({
      tools: z.number().int().positive().optional(),
      images: z.number().int().positive().optional(),
      matches: z.array(z.string().min(1).max(1_000)).max(32).default([]).describe('RE2 expressions, on the last user message.'),
    })
    .prefault({}),
});
export type RoutingRules = z.infer<typeof RoutingRules>;

export const noRules: RoutingRules = RoutingRules.parse({});

/** The rule of a name, whatever its case. */
export const ruleOf = <Rule>(rules: Readonly<Record<string, Rule>>, name: string): Rule | undefined => {
  const lower = name.toLowerCase();
  const key = Object.keys(rules).find((candidate) => candidate.toLowerCase() === lower);
  return key === undefined ? undefined : rules[key];
};
