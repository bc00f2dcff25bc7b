import { BlockList } from 'node:net';
import { describe, expect, it } from 'vitest';
import { type AppOptions, createApp } from '../../app.ts';
import { openApiDocument } from './document.ts';
import { routes } from './routes.ts';

/** Routes that are for a page or for programs' first look, not for the document. */
const UNDOCUMENTED = [
  ...['GET /', 'GET /api/hello', 'GET /openapi.json', 'GET /docs', 'GET /docs/page.js', 'GET /docs/style.css'],
  ...['GET /ui', 'GET /ui/*'],
  // Answered with where they can be done.
  ...['POST /api/copy', 'POST /api/create', 'POST /api/push', 'POST /api/blobs/{digest}'],
  ...['GET /setup', 'GET /sign-in', 'GET /sign-in/page.js', 'GET /sign-in/style.css'],
];

const documented = routes.map(({ method, path }) => `${method.toUpperCase()} ${path}`);

/** Nothing is asked of the rooms behind the door while its routes are only listed. */
const served = (): string[] => {
  const app = createApp({ proxies: new BlockList() } as unknown as AppOptions);
  const all = app.routes
    .filter(({ method }) => method !== 'ALL')
    .map(({ method, path }) => `${method} ${path.replace(/:(\w+)(\{.*\})?/g, '{$1}')}`);
  return [...new Set(all)].filter((route) => !UNDOCUMENTED.includes(route));
};

describe('the OpenAPI document', () => {
  it('has every route that is served, and no other', () => {
    expect(documented.toSorted()).toEqual(served().toSorted());
  });

  it('names every operation once', () => {
    const ids = routes.map(({ operationId }) => operationId);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('is OpenAPI 3.1 with keys needed everywhere but where it says so', () => {
    const { openapi, security, paths } = openApiDocument() as {
      openapi: string;
      security: unknown;
      paths: Record<string, Record<string, { security?: unknown }>>;
    };
    expect(openapi).toBe('3.1.0');
    expect(security).toEqual([{ bearer: [] }, { apiKey: [] }]);
    expect(paths['/livez']?.['get']?.security).toEqual([]);
    expect(paths['/v1/chat/completions']?.['post']).not.toHaveProperty('security');
  });

  it('describes bodies with the schemas that the routes read with', () => {
    const { paths } = openApiDocument() as {
      paths: Record<
        string,
        Record<string, { requestBody: { content: Record<string, { schema: { properties: object; required?: string[] } }> } }>
      >;
    };
    const { schema } = paths['/v1/chat/completions']?.['post']?.requestBody.content['application/json'] ?? {
      schema: { properties: {} },
    };
    expect(Object.keys(schema.properties)).toEqual(expect.arrayContaining(['model', 'messages', 'stream', 'tools']));
    expect(schema.required).toEqual(['messages']);
  });
});
