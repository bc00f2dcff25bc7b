import type { HttpBindings } from '@hono/node-server';
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import { CodedError } from '@lai/shared/errors';
import { RELEASE_FILE_NAME } from '@lai/shared/release';
import { BaseUrl } from '@lai/shared/release-api';
import type { Context, Hono, MiddlewareHandler } from 'hono';
import type { Action } from '../access/authorize.ts';
import type { ClientAddress } from '../access/client-address.ts';
import type { Lan } from '../lan/lan.ts';
import { DownloadSlots } from '../releases/download-slots.ts';
import { type InstallerName, installer } from '../releases/installers.ts';
import { NO_RELEASES, type Releases } from '../releases/releases.ts';
import { serveFile } from '../releases/serve-file.ts';

export interface ReleaseFileOptions {
  readonly may: (action: Action) => MiddlewareHandler;
  readonly releases: Releases;
  /** Where machines reach us, as it was configured. */
  readonly publicUrl: string | undefined;
  readonly lan: Lan | null;
}

/** What a machine needs to install and to update itself. Public files, so they need no key; what they are worth, their signature says. */
// biome-ignore lint/suspicious/noExplicitAny: Hono's environment is invariant, and which one the app has does not matter here
export const mountReleaseFiles = (app: Hono<any>, { may, releases, publicUrl, lan }: ReleaseFileOptions): void => {
  const slots = new DownloadSlots();

  const giveInstaller = (name: InstallerName) =>
    app.get(`/${name}`, may('release.read'), async (c) => {
      const { publicKey } = await releases.shelf();
      if (publicKey === null || !(await releases.find('latest'))) throw notThere(`Nothing to install: ${NO_RELEASES}.`);
      const url = publicUrl ?? askedAt(c);
      const text = await installer(name, { url, releaseKey: publicKey, pin: lan?.pinFor(url) ?? null });
      // It depends on how it was asked for: nobody in between may keep it.
      return c.body(text, 200, { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store' });
    });
  giveInstaller('install.sh');
  giveInstaller('install.ps1');

  app.get(
    '/dl/:version/:file',
    may('release.read'),
    async (c: Context<{ Bindings: HttpBindings; Variables: { client: ClientAddress } }>) => {
      const version = c.req.param('version') ?? '';
      const name = c.req.param('file') ?? '';
      const file = RELEASE_FILE_NAME.test(name) ? (await releases.find(version))?.files.get(name) : undefined;
      if (!file) throw notThere(`There is no file ${c.req.path.slice(0, 100)}.`);
      const release = slots.take(c.var.client.address);
      if (!release)
        throw new CodedError('rate_limit_exceeded', { message: 'Too many downloads at once.', retryAfterSeconds: 10 });
      try {
        await serveFile({ request: c.env.incoming, response: c.env.outgoing }, file, { isForGood: version !== 'latest' });
      } finally {
        release();
      }
      return RESPONSE_ALREADY_SENT;
    },
  );
};

const notThere = (message: string): CodedError => new CodedError('entry_not_found', { message });

/** As the one who asks knows us. Becomes part of scripts, so nothing but a plain address passes, whatever a Host header says. */
export const askedAt = (c: Context): string => {
  const parsed = BaseUrl.safeParse(c.get('ownOrigin'));
  if (!parsed.success)
    throw new CodedError('invalid_value', { message: 'The Host header is no plain host and port.', param: 'host' });
  return parsed.data;
};
