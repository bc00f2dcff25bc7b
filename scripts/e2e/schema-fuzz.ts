import { createRequire } from 'node:module';
import { join } from 'node:path';
import fc from 'fast-check';

const { z } = createRequire(join(import.meta.dirname, '..', '..', 'shared', 'package.json'))('zod') as {
  z: { toJSONSchema(schema: unknown, options: { io: 'input'; unrepresentable: 'any' }): JsonSchema };
};

export interface JsonSchema {
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly JsonSchema[];
  readonly oneOf?: readonly JsonSchema[];
  readonly type?: string | readonly string[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly items?: JsonSchema;
  readonly pattern?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly exclusiveMinimum?: number;
  readonly maximum?: number;
}

/** What every text of a rogue peer carries: it is searched for in what the other side opened, started and connected to. */
export const CANARY = 'lai-canary-9c41';

export const hostile = fc.constantFrom(
  CANARY,
  `../../../../etc/${CANARY}`,
  `/etc/${CANARY}`,
  `${CANARY}; touch /tmp/${CANARY}`,
  `$(touch /tmp/${CANARY})`,
  `\`touch /tmp/${CANARY}\``,
  `--config=/etc/${CANARY}`,
  `http://127.0.0.1:9/${CANARY}`,
  `file:///etc/${CANARY}`,
  `\\\\evil\\share\\${CANARY}`,
  `${CANARY}\u0000.gguf`,
  `${CANARY}\n-x`,
  `a/${CANARY}:latest`,
  '__proto__',
);

/** Drawn from the schema itself, so that a message that is added tomorrow is tried tomorrow. */
export const messagesOf = (schema: unknown, known: readonly string[]): fc.Arbitrary<Record<string, unknown>> =>
  drawnFrom(z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }), fc.constantFrom(...known)) as fc.Arbitrary<
    Record<string, unknown>
  >;

/** `known`: names that mean something to the other side. */
export const drawnFrom = (schema: JsonSchema, known: fc.Arbitrary<string>): fc.Arbitrary<unknown> => {
  if (schema.const !== undefined) return fc.constant(schema.const);
  if (schema.enum) return fc.constantFrom(...schema.enum);
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices) return fc.oneof(...choices.map((choice) => drawnFrom(choice, known)));
  const { type } = schema;
  if (Array.isArray(type)) return fc.oneof(...type.map((one: string) => drawnFrom({ ...schema, type: one }, known)));
  switch (type) {
    case 'string':
      return textOf(schema, known);
    case 'integer':
    case 'number':
      return numberOf(schema);
    case 'boolean':
      return fc.boolean();
    case 'null':
      return fc.constant(null);
    case 'array':
      return fc.array(drawnFrom(schema.items ?? {}, known), { maxLength: 4 });
    case 'object':
      return fc.record(
        Object.fromEntries(Object.entries(schema.properties ?? {}).map(([name, property]) => [name, drawnFrom(property, known)])),
        { requiredKeys: [...(schema.required ?? [])] },
      );
    default:
      return fc.jsonValue({ maxDepth: 2 });
  }
};

const textOf = ({ pattern, minLength = 0, maxLength = 200 }: JsonSchema, known: fc.Arbitrary<string>): fc.Arbitrary<string> => {
  const free = fc.oneof(known, hostile, fc.string({ minLength, maxLength: Math.min(maxLength, 80) }));
  if (pattern === undefined) return free;
  const allowed = new RegExp(pattern);
  // What the pattern lets through, and what it must keep out.
  const carriers = [`${CANARY}:1b`, `org/${CANARY}`].filter((text) => allowed.test(text));
  // fast-check cannot draw from patterns that look ahead.
  const drawn = /\(\?<?[=!]/.test(pattern) ? [] : [fc.stringMatching(allowed)];
  return fc.oneof(...drawn, ...(carriers.length > 0 ? [fc.constantFrom(...carriers)] : []), free);
};

const numberOf = ({
  exclusiveMinimum = -(2 ** 40),
  minimum = exclusiveMinimum,
  maximum = 2 ** 40,
}: JsonSchema): fc.Arbitrary<number> =>
  fc.oneof(
    fc.integer({ min: Math.max(0, minimum), max: Math.min(maximum, 2_000) }),
    fc.constantFrom(minimum, maximum, 0, 1, Number.MAX_SAFE_INTEGER, 1.5, -1),
  );

/** The same message with one field taken away or exchanged. */
export const spoilt = (message: Record<string, unknown>): fc.Arbitrary<Record<string, unknown>> =>
  fc
    .tuple(fc.constantFrom(...Object.keys(message)), fc.oneof(hostile, fc.jsonValue({ maxDepth: 3 }), fc.constant(undefined)))
    .map(([field, value]) => ({ ...message, [field]: value }));
