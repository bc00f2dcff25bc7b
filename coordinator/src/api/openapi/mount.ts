import type { Hono, MiddlewareHandler } from 'hono';
import type { Action } from '../../access/authorize.ts';
import { DOCS_PAGE, DOCS_SCRIPT, DOCS_STYLE } from './docs-page.ts';
import { openApiDocument } from './document.ts';

const HOUR = 'public, max-age=3600';
/** The page runs its own script and nothing else. */
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'";

/** What is served here, for programs and for people. Tells nothing of this fleet, so it needs no key. */
// biome-ignore lint/suspicious/noExplicitAny: Hono's environment is invariant, and which one the app has does not matter here
export const mountDocs = (app: Hono<any>, may: (action: Action) => MiddlewareHandler): void => {
  app.get('/openapi.json', may('door.greet'), (c) => c.json(openApiDocument(), 200, { 'cache-control': HOUR }));
  const asset = (path: string, type: string, text: string) =>
    app.get(path, may('door.greet'), (c) =>
      c.body(text, 200, { 'content-type': `${type}; charset=utf-8`, 'content-security-policy': POLICY, 'cache-control': HOUR }),
    );
  asset('/docs', 'text/html', DOCS_PAGE);
  asset('/docs/page.js', 'text/javascript', DOCS_SCRIPT);
  asset('/docs/style.css', 'text/css', DOCS_STYLE);
};
