import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { getuid } from 'node:process';
import { type Browser, chromium } from 'playwright-core';

const PLACES = [
  ...(process.env['LAI_CHROMIUM'] ? [process.env['LAI_CHROMIUM']] : []),
  ...['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome', '/usr/bin/google-chrome-stable'],
  ...['/Applications/Google Chrome.app/Contents/MacOS/Google Chrome', '/Applications/Chromium.app/Contents/MacOS/Chromium'],
];
const INSTALL = 'apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core';
const INSTALL_LIMIT_MS = 240_000;

/** Where a Chromium or Chrome is; installs Debian's where that can be done. Null with the reason where there is none to be had. */
export const findChromium = (): { path: string } | { path: null; reason: string } => {
  const found = PLACES.find((place) => existsSync(place));
  if (found) return { path: found };
  if (process.platform !== 'linux' || getuid?.() !== 0 || !existsSync('/usr/bin/apt-get'))
    return {
      path: null,
      reason: 'No Chromium or Chrome is here. Debian: apt-get install chromium. Elsewhere: LAI_CHROMIUM=/path/to/it.',
    };
  console.log('installing chromium (80 MB, about a minute)');
  const { status, stderr } = spawnSync('sh', ['-c', INSTALL], {
    ...{ encoding: 'utf8', timeout: INSTALL_LIMIT_MS },
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  });
  const path = PLACES.find((place) => existsSync(place));
  if (path) return { path };
  return { path: null, reason: `chromium could not be installed (${status}): ${stderr.slice(-500)}` };
};

export const launch = (executablePath: string): Promise<Browser> =>
  chromium.launch({ executablePath, args: ['--disable-gpu', '--no-first-run', '--disable-dev-shm-usage', '--lang=en-GB'] });
