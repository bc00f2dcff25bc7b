import { expect, it } from 'vitest';
import { serviceSid } from './windows-sid.ts';

it.each([
  ['TrustedInstaller', 'S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464'],
  ['trustedinstaller', 'S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464'],
  ['MSSQLSERVER', 'S-1-5-80-3880718306-3832830129-1677859214-2598158968-1052248003'],
])('the account of the service %s has the number that Windows documents', (name, sid) => {
  expect(serviceSid(name)).toBe(sid);
});
