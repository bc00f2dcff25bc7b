import { CodedError } from '@lai/shared/errors';
import type { Context, Hono, MiddlewareHandler } from 'hono';
import type { Action } from '../../access/authorize.ts';
import { type DashboardFile, packingFor, readDashboard } from './files.ts';

/** Scripts and styles from here alone; nothing inline, no eval, and nothing that makes markup of text. */
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; font-src 'self'; connect-src 'self'; " +
  "manifest-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; " +
  "trusted-types 'none'";
const NOT_BUILT =
  'The dashboard is not built here. From a clone: npm run build, then start the coordinator again. /docs describes the API.\n';

/** The page that people leave open. Its files tell nothing of this fleet, so they need no key; what they ask for does. */
// biome-ignore lint/suspicious/noExplicitAny: Hono's environment is invariant, and which one the app has does not matter here
export const mountDashboard = (app: Hono<any>, may: (action: Action) => MiddlewareHandler): void => {
  let files: ReadonlyMap<string, DashboardFile> | undefined;
  const give = (c: Context, name: string): Response => {
    files ??= readDashboard();
    const file = files.get(name);
    if (!file && files.size === 0) return c.text(NOT_BUILT, 503);
    // A piece of an older version must not turn into the page: its script would not load, and nothing would say why.
    if (!file && name.startsWith('assets/'))
      throw new CodedError('entry_not_found', { message: `There is no file ${name.slice(0, 100)}.` });
    return answer(c, file ?? files.get('index.html'));
  };
  app.get('/ui', may('door.greet'), (c) => c.redirect('/ui/'));
  app.get('/ui/*', may('door.greet'), (c) => give(c, c.req.path.slice('/ui/'.length)));
};

const answer = (c: Context, file: DashboardFile | undefined): Response => {
  if (!file) throw new CodedError('entry_not_found');
  const packing = packingFor(c.req.header('accept-encoding'), file);
  const headers: Record<string, string> = {
    'content-security-policy': POLICY,
    'cache-control': file.isForGood ? 'public, max-age=31536000, immutable' : 'no-cache',
    vary: 'Accept-Encoding',
    etag: file.etag,
  };
  if (c.req.header('if-none-match') === file.etag) return c.body(null, 304, headers);
  const bytes = file.bytes[packing] ?? file.bytes.identity;
  if (packing !== 'identity') headers['content-encoding'] = packing;
  return c.body(bytes as Uint8Array<ArrayBuffer>, 200, { ...headers, 'content-type': file.type });
};
