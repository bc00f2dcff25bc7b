import { z } from 'zod';
import { RoutingRules } from '../routing/rules.ts';
import { ProvidersFile } from './providers-file.ts';

const SCHEMAS = { routing: RoutingRules, providers: ProvidersFile } as const;

/** Names of the files that have a schema. */
export const schemaNames = Object.keys(SCHEMAS);

/** The JSON Schema of a file as people write it, for editors; undefined for a name that is none. */
export const jsonSchemaOf = (name: string): object | undefined => {
  const schema = Object.entries(SCHEMAS).find(([candidate]) => candidate === name)?.[1];
  return schema && z.toJSONSchema(schema, { io: 'input' });
};
