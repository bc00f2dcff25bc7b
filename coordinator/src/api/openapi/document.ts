import { AnthropicError } from '@lai/shared/anthropic';
import { OllamaError } from '@lai/shared/ollama';
import { ErrorBody } from '@lai/shared/openai';
import { z } from 'zod';
import { VERSION } from '../../version.ts';
import type { Api, DocumentedRoute } from './documented-route.ts';
import { routes } from './routes.ts';

type Json = Record<string, unknown>;

const TAGS: Record<Api, string> = {
  OpenAI: "OpenAI's API over the whole fleet.",
  Anthropic: "Anthropic's Messages over the whole fleet.",
  Ollama: "Ollama's API over the whole fleet. Programs that know no keys use /k/lai_…/ in front of any path.",
  Jobs: 'For answers that nobody waits for.',
  Management: 'What an operator does.',
  Health: 'For load balancers.',
};

const ERRORS: Record<Api, z.ZodType> = {
  OpenAI: ErrorBody,
  Anthropic: AnthropicError,
  Ollama: OllamaError,
  Jobs: ErrorBody,
  Management: ErrorBody,
  Health: ErrorBody,
};

let document: Json | undefined;

/** The OpenAPI 3.1 document, made from the schemas the routes read with; made once. */
export const openApiDocument = (): Json => {
  document ??= {
    openapi: '3.1.0',
    info: {
      title: 'Lai',
      version: VERSION,
      summary: 'The GPUs you own, as one endpoint.',
      description: 'Fields that are not named here pass through to the runtime that answers; unknown ones are never refused.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: '/' }],
    tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
    security: [{ bearer: [] }, { apiKey: [] }],
    paths: pathsOf(routes),
    components: {
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer', description: '`lai keys create` makes a key.' },
        apiKey: { type: 'apiKey', in: 'header', name: 'x-api-key' },
      },
      schemas: Object.fromEntries(
        (['OpenAI', 'Anthropic', 'Ollama'] as const).map((api) => [`${api}Error`, schemaOf(ERRORS[api], 'output')]),
      ),
    },
  };
  return document;
};

const pathsOf = (all: readonly DocumentedRoute[]): Json => {
  const paths: Record<string, Json> = {};
  for (const route of all) paths[route.path] = { ...paths[route.path], [route.method]: operationOf(route) };
  return paths;
};

const operationOf = (route: DocumentedRoute): Json => ({
  operationId: route.operationId,
  summary: route.summary,
  tags: [route.api],
  ...(route.isOpen ? { security: [] } : {}),
  ...parametersOf(route),
  ...(route.request ? { requestBody: { required: true, content: bodyOf(route.request, route) } } : {}),
  responses: { [route.status ?? 200]: successOf(route), ...errorsOf(route) },
});

const parametersOf = ({ path, query = {} }: DocumentedRoute): Json => {
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }));
  const inQuery = Object.entries(query).map(([name, schema]) => {
    const { description, ...json } = schemaOf(schema, 'input');
    return { name, in: 'query', required: !z.safeParse(schema, undefined).success, description, schema: json };
  });
  return inPath.length + inQuery.length > 0 ? { parameters: [...inPath, ...inQuery] } : {};
};

const bodyOf = (request: z.ZodType, { form }: DocumentedRoute): Json => ({
  [form ? 'multipart/form-data' : 'application/json']: { schema: schemaOf(request, 'input') },
});

const successOf = ({ summary, response, stream, event, api }: DocumentedRoute): Json => ({
  description: summary,
  ...(api === 'Health'
    ? {}
    : { headers: { 'x-request-id': { description: 'Finds the request in the log.', schema: { type: 'string' } } } }),
  ...(response
    ? {
        content: {
          'application/json': { schema: schemaOf(response, 'output') },
          ...(stream && event ? { [stream]: { schema: schemaOf(event, 'output') } } : {}),
        },
      }
    : {}),
});

const errorsOf = ({ api, isOpen, request, path }: DocumentedRoute): Json => {
  const name = api === 'Anthropic' || api === 'Ollama' ? api : 'OpenAI';
  const content = { 'application/json': { schema: { $ref: `#/components/schemas/${name}Error` } } };
  const retryAfter = { headers: { 'retry-after': { description: 'Seconds.', schema: { type: 'integer' } } } };
  return {
    ...(request || path.includes('{')
      ? { '4XX': { description: 'The request cannot be served; its code says why.', content } }
      : {}),
    ...(isOpen ? {} : { '401': { description: 'Missing or invalid key.', content } }),
    '5XX': { description: 'Nobody could answer, or something broke.', content, ...retryAfter },
  };
};

const schemaOf = (schema: z.core.$ZodType, io: 'input' | 'output'): Json => {
  const { $schema: _, ...json } = z.toJSONSchema(schema, { io, unrepresentable: 'any', reused: 'inline' });
  return json;
};
