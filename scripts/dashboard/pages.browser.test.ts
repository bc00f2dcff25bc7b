import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findChromium, launch } from './chromium.ts';
import { Demo, OPERATOR } from './demo.ts';
import { PAGES } from './pages.ts';
import { Visit } from './visit.ts';

const found = findChromium();
if (found.path === null) console.warn(`SKIPPED, all of it: ${found.reason}`);
const MOST_SHIFT = 0.02;

describe.skipIf(found.path === null)('every page of the dashboard', () => {
  let demo: Demo;
  let browser: Browser;

  beforeAll(async () => {
    demo = await Demo.start();
    browser = await launch(found.path ?? '');
    await demo.signUp();
    await demo.liven();
    await demo.api('POST', 'users', { name: 'wall', password: OPERATOR.password, role: 'viewer' });
  });
  afterAll(async () => {
    await browser?.close();
    await demo?.stop();
  });

  const looks = (['light', 'dark'] as const).flatMap((theme) => [
    { theme, width: 320, height: 640 },
    { theme, width: 1280, height: 800 },
  ]);

  it.each(looks)('is sound in $theme at $width: axe, width, policy, console, shift', async (look) => {
    const visit = await Visit.open(browser, demo.url, look);
    await visit.signIn(OPERATOR);
    for (const { name, path, ready } of PAGES) {
      await visit.page.goto(typeof path === 'string' ? path : path(await demo.nodeId('windows-rtx')));
      await ready(visit.page);
      const { shift, policy, overflowPx } = await visit.seen();
      expect({ name, policy, overflowPx, axe: await visit.axe() }).toEqual({ name, policy: [], overflowPx: 0, axe: [] });
      expect(shift, name).toBeLessThanOrEqual(MOST_SHIFT);
    }
    // No other machine reaches this coordinator, so there is no line for one: the dialog says so.
    expect(visit.problems.filter((problem) => !/40[014]/.test(problem))).toEqual([]);
    await visit.close();
  });

  it('fits a very wide screen and a narrow one with long names', async () => {
    const long = 'Arbeitszimmerrechner-im-ersten-Obergeschoss-links-neben-der-Tuer';
    const id = await demo.nodeId('linux-3070');
    await demo.api('PATCH', `nodes/${id}`, { name: long });
    for (const width of [320, 2_560]) {
      const visit = await Visit.open(browser, demo.url, { width, height: 900 });
      await visit.signIn(OPERATOR);
      for (const path of ['/ui/', '/ui/machines', `/ui/machines/${id}`, '/ui/models']) {
        await visit.page.goto(path);
        await visit.page.getByText(long).first().waitFor();
        expect({ path, width, ...(await visit.seen()) }).toMatchObject({ path, width, overflowPx: 0 });
      }
      await visit.close();
    }
    await demo.api('PATCH', `nodes/${id}`, { name: 'linux-3070' });
  });

  it('gives a grid one tab stop, arrows, and the focus back after a dialog', async () => {
    const visit = await Visit.open(browser, demo.url);
    const { page } = visit;
    await visit.signIn(OPERATOR);
    await page.goto('/ui/models?view=grid&by=model');
    const cell = (row: number, column: number) =>
      page.locator(`[role=row][aria-rowindex="${row}"] [role=gridcell][aria-colindex="${column}"]`);
    await cell(2, 2).waitFor();
    await page.getByRole('link', { name: 'Grid by machine' }).focus();
    await page.keyboard.press('Tab');
    await expect.poll(() => visit.hasFocus(cell(2, 2))).toBe(true);
    await page.keyboard.press('ArrowRight');
    await page.keyboard.press('ArrowDown');
    await expect.poll(() => visit.hasFocus(cell(3, 3))).toBe(true);
    await page.keyboard.press('Enter');
    await page.getByRole('dialog', { name: /on mac-m1/ }).waitFor();
    expect(await visit.axe()).toEqual([]);
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    await expect.poll(() => visit.hasFocus(cell(3, 3))).toBe(true);
    await page.keyboard.press('Control+End');
    await expect.poll(() => visit.hasFocus(cell(5, 4))).toBe(true);
    expect(visit.problems).toEqual([]);
    await visit.close();
  });

  it('shows a viewer everything, lets them change nothing and says why; the API refuses the same', async () => {
    const visit = await Visit.open(browser, demo.url);
    const { page } = visit;
    await visit.signIn({ ...OPERATOR, name: 'wall' });
    const id = await demo.nodeId('windows-rtx');
    await page.goto('/ui/');
    await page.getByRole('article', { name: 'windows-rtx' }).waitFor();
    const add = page.getByRole('button', { name: 'Add a machine' });
    await expect.poll(() => add.getAttribute('aria-disabled')).toBe('true');
    expect(await add.getAttribute('title')).toContain('wall may look, not change');
    await add.click({ force: true });
    await page.getByRole('group', { name: 'Gaming on windows-rtx' }).getByRole('button', { name: 'On' }).click({ force: true });
    expect(await page.getByRole('dialog').count()).toBe(0);
    await page.goto(`/ui/machines/${id}/settings`);
    for (const name of [/^Save/, /^Let it rest/, /^Shut out/, /^Forget/])
      expect(await page.getByRole('button', { name }).getAttribute('aria-disabled')).toBe('true');
    const refused = await visit.context.request.patch(`/api/v1/nodes/${id}`, {
      data: { isDraining: true },
      headers: { 'sec-fetch-site': 'same-origin' },
    });
    expect(refused.status()).toBe(403);
    await visit.close();
  });

  it('shares one feed between eight tabs, which outlives the tab that has it', async () => {
    const visit = await Visit.open(browser, demo.url);
    await visit.signIn(OPERATOR);
    let feeds = 0;
    visit.context.on('request', (request) => {
      if (request.url().endsWith('/api/v1/events')) feeds += 1;
    });
    const tabs = [visit.page];
    while (tabs.length < 8) tabs.push(await visit.context.newPage());
    for (const tab of tabs) {
      await tab.goto('/ui/');
      await tab.getByRole('article', { name: 'windows-rtx' }).waitFor();
    }
    expect(feeds).toBe(1);
    const seeIn = async (tab: (typeof tabs)[number] | undefined, mode: 'On' | 'Auto') =>
      tab?.getByRole('group', { name: 'Gaming on linux-3070' }).getByRole('button', { name: mode, pressed: true }).waitFor();
    const id = await demo.nodeId('linux-3070');
    await demo.api('PATCH', `nodes/${id}`, { gaming: { mode: 'on', untilMs: null } });
    for (const tab of tabs) await seeIn(tab, 'On');
    await tabs[0]?.close();
    await demo.api('PATCH', `nodes/${id}`, { gaming: null });
    for (const tab of tabs.slice(1)) await seeIn(tab, 'Auto');
    expect(feeds).toBe(2);
    await visit.close();
  });

  it('keeps the theme that somebody chose', async () => {
    const visit = await Visit.open(browser, demo.url, { theme: 'light' });
    await visit.signIn(OPERATOR);
    await visit.page.goto('/ui/');
    await visit.page.getByRole('button', { name: 'Light or dark' }).click();
    await visit.page.reload();
    expect(await visit.page.evaluate('getComputedStyle(document.documentElement).colorScheme')).toBe('dark');
    await visit.close();
  });
});
