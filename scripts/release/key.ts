/**
 * Makes the pair of keys that releases are signed with: `npm run release:key -- FILE`. The file is the private half; keep it where no
 * release is built and no coordinator runs, and a copy of it on paper or in a safe: agents take updates that it signed and no others.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { generateIdentityKeys, type IdentityKeys } from '../../shared/src/ed25519.ts';
import { readOrExplain } from '../command-line.ts';

export const readReleaseKey = (path: string): IdentityKeys => {
  const { publicKey, privateKey } = JSON.parse(readFileSync(path, 'utf8')) as Partial<IdentityKeys>;
  if (!publicKey || !privateKey) throw new Error(`${path} is no key of releases; npm run release:key makes one`);
  return { publicKey, privateKey };
};

export const makeReleaseKey = async (path: string): Promise<IdentityKeys> => {
  const pair = await generateIdentityKeys();
  // `wx`: an older key is worth more than whatever made us come here twice.
  writeFileSync(path, `${JSON.stringify(pair, null, 2)}\n`, { flag: 'wx', mode: 0o600 });
  return pair;
};

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const path = readOrExplain('usage: npm run release:key -- FILE', ([file, ...others]) => {
    if (file === undefined || others.length > 0) throw new Error('One file is needed, which must not exist yet.');
    return file;
  });
  const { publicKey } = await makeReleaseKey(path);
  console.log(`${path}: keep it secret, and keep a copy.`);
  console.log(`Public key, for --public-key and LAI_RELEASE_KEY: ${publicKey}`);
}
