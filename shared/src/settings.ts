import { z } from 'zod';
import { BaseUrl } from './release-api.ts';

/** Kinds of settings that both programs have. Each message goes on from `NAME is "value": `, and says what to write. */

const wrong = (context: z.RefinementCtx<string>, message: string): never => {
  context.addIssue({ code: 'custom', message });
  return z.NEVER;
};

const SCHEME = /^[a-z][a-z0-9+.-]*:\/\//i;

/**
 * Where an engine listens: `http://host:port`, or `host:port` as engines write it themselves. Plain HTTP without a path is all that the
 * agent speaks.
 */
export const EngineUrl = z
  .string()
  .trim()
  .transform((text, context): string => {
    const hasScheme = SCHEME.test(text);
    const spelled = hasScheme ? text : `http://${text}`;
    if (!URL.canParse(spelled)) return wrong(context, 'use an address such as http://127.0.0.1:11434');
    const { protocol, host, hostname, port, pathname, search, hash, username, password } = new URL(spelled);
    if (username !== '' || password !== '')
      return wrong(context, 'use an address without a name and password; a key has a setting of its own');
    if (protocol !== 'http:') return wrong(context, `use http://${host}: the agent speaks plain HTTP to engines`);
    if (pathname !== '/' || search !== '' || hash !== '')
      return wrong(context, `use http://${host}, without ${pathname}${search}${hash}: the agent knows the paths of its engines`);
    if (!hasScheme && port === '') return wrong(context, `use an address with a port, such as http://${hostname}:11434`);
    return `http://${host}`;
  });

/** Where a coordinator is reached. `host:port` is taken for `http://host:port`, which other checks ask TLS of where it is due. */
export const CoordinatorUrl = z
  .string()
  .trim()
  .transform((text) => (SCHEME.test(text) || !/^[^/]*:\d+\/?$/.test(text) ? text : `http://${text}`))
  .pipe(BaseUrl);

export const Switch = z.union([z.boolean(), z.stringbool()], { error: 'use true or false' });

/** Goes into a header: what is pasted with a line's end or a space would be refused there, without a name. */
export const SecretText = z
  .string()
  .regex(/^[\x21-\x7e]+$/, 'use the bare secret: letters, digits and signs, without spaces or line ends');

/** Programs and files are opened as they are spelled; only a shell knows what `~` is. */
export const FilePath = z
  .string()
  .min(1)
  .refine((path) => !/^~(?:\/|\\|$)/.test(path), 'use the whole path: ~ means nothing outside a shell')
  .refine((path) => !path.includes('\0'), 'use a path without null characters')
  .refine((path) => !/^file:/i.test(path), 'use a path such as /srv/lai, not a URL');
