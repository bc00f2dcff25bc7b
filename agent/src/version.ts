import manifest from '../package.json' with { type: 'json' };

/** Put in by the release build, which may make another version than the source says (tests, release candidates). */
declare const LAI_VERSION: string | undefined;
export const VERSION: string = typeof LAI_VERSION === 'string' ? LAI_VERSION : manifest.version;
