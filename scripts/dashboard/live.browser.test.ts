import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Fleet } from '../e2e/fleet.ts';
import { Program } from '../e2e/program.ts';
import { readStream } from '../e2e/stream.ts';
import { findChromium, launch } from './chromium.ts';
import { OPERATOR } from './demo.ts';
import { Visit } from './visit.ts';

const AGENT = join(import.meta.dirname, '..', '..', 'agent', 'dist', 'lai-agent.js');
const found = findChromium();
if (found.path === null) console.warn(`SKIPPED, all of it: ${found.reason}`);

/** One fleet and one browser through a day: the tests build on one another. */
describe.skipIf(found.path === null)('a fleet in the dashboard', () => {
  let fleet: Fleet;
  let browser: Browser;
  let visit: Visit;
  let page: Page;

  beforeAll(async () => {
    fleet = await Fleet.start({ nodes: [] });
    browser = await launch(found.path ?? '');
    visit = await Visit.open(browser, fleet.url);
    page = visit.page;
  });
  afterAll(async () => {
    await browser?.close();
    await fleet?.stop();
  });

  const card = (name: string) => page.getByRole('article', { name });
  const gaming = (name: string) => page.getByRole('group', { name: `Gaming on ${name}` });
  const says = (text: string | RegExp) => page.getByText(text).first().waitFor({ timeout: 20_000 });
  const isGone = (text: string | RegExp) => page.getByText(text).first().waitFor({ state: 'detached', timeout: 20_000 });

  it('sends a browser to the page and a program to the words of an Ollama', async () => {
    const asBrowser = await fetch(fleet.url, { headers: { 'sec-fetch-dest': 'document' }, redirect: 'manual' });
    expect([asBrowser.status, asBrowser.headers.get('location')]).toEqual([302, '/ui/']);
    expect(await (await fetch(fleet.url)).text()).toContain('Ollama is running');
  });

  it('lets the first operator in by the printed link, onto an empty page that says what to do', async () => {
    const setup = /http:\S+\/setup#[0-9a-f]{32}/.exec(await fleet.coordinator.until(/First operator/))?.[0] ?? '';
    await page.goto(setup);
    await page.getByLabel('Name').fill(OPERATOR.name);
    await page.getByLabel('Password').fill(OPERATOR.password);
    await page.getByRole('button', { name: 'Begin' }).click();
    await page.waitForURL('**/ui/');
    await says('No machine has joined yet.');
  });

  it('shows a line, and then live how the machine that runs it comes in', async () => {
    await page.getByRole('button', { name: 'Add a machine' }).first().click();
    const line = page.getByLabel('Line for linux');
    const text = await line.inputValue();
    await page.getByRole('button', { name: 'macOS' }).click();
    // One token, whatever the system.
    const token = /laj_[0-9a-f_]+/.exec(text)?.[0] ?? 'none';
    expect(await page.getByLabel('Line for macos').inputValue()).toContain(token);
    await page.getByRole('button', { name: 'Linux' }).click();
    await page.getByRole('button', { name: 'Copy' }).click();
    expect(await page.evaluate('navigator.clipboard.readText()')).toBe(text);
    await says('waiting for somebody to run it');

    const dataDir = join(fleet.directory, 'attic');
    await new Program('join', [AGENT, 'join', '--url', fleet.url, '--name', 'attic', '--data-dir', dataDir], {
      LAI_TOKEN: token,
    }).output();
    await says('enrolled as');
    const agent = new Program('agent attic', [AGENT, 'run', '--data-dir', dataDir, '--name', 'attic', '--runtime', 'mock'], {
      LAI_LOCAL_PORT: '0',
    });
    await says('connected:');
    expect(await page.getByRole('dialog').textContent()).toContain('(simulated)');
    await page.keyboard.press('Escape');
    await card('attic').waitFor();
    await says('attic is up.');
    agent.kill('SIGTERM');
    await agent.exited;
    await says(/attic is away since/);
    const { id } = (await fleet.status()).nodes[0] ? { id: (await fleet.status()).nodes[0]?.nodeId ?? '' } : { id: '' };
    await page.goto(`/ui/machines/${id}/settings`);
    await page.getByRole('button', { name: 'Forget' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Forget' }).click();
    await page.waitForURL('**/ui/machines');
    await says('No machine has joined yet.');
  });

  it('asks for gaming, and presses the switch when the machine has done it', async () => {
    const models = 'story:1b=0.3GB,slots=2,tps=20,caps=chat; other:1b=0.3GB,slots=1,tps=20,caps=chat';
    const tuning = { prefillMs: 5, coldLoadMsPerGb: 100 };
    for (const name of ['left', 'right']) await fleet.addNode({ name, models, tuning, agentEnv: { LAI_LOCAL_PORT: '0' } });
    await page.goto('/ui/');
    await card('left').waitFor();
    await says('Both machines are up.');
    await gaming('left').getByRole('button', { name: 'On' }).click();
    const dialog = page.getByRole('dialog', { name: 'Gaming on left' });
    expect(await dialog.textContent()).toContain('Nothing runs here now.');
    await dialog.getByRole('button', { name: '2 hours' }).click();
    await gaming('left').getByRole('button', { name: 'On', pressed: true }).waitFor();
    await says('left is gaming (set by an operator).');
    expect(await card('left').textContent()).toMatch(/until \d\d:\d\d \(1:59:\d\d\)|until \d\d:\d\d \(2:00:00\)/);
    expect(await fleet.lai('nodes', 'list')).toMatch(/left .*gaming/);
    // Requests go elsewhere meanwhile.
    const answer = await readStream(
      await fleet.chat({ model: 'story:1b', stream: true, max_tokens: 5, messages: [{ role: 'user', content: 'Go on.' }] }),
    );
    expect(answer.content).toContain('[simulated on right]');
    await gaming('left').getByRole('button', { name: 'Auto' }).click();
    await gaming('left').getByRole('button', { name: 'Auto', pressed: true }).waitFor();
    await says('Both machines are up.');
  });

  it('loads from the grid, and asks before it unloads what is in use', async () => {
    await page.goto('/ui/models?view=grid&by=model');
    const cell = page.locator('[role=row][aria-rowindex="2"] [role=gridcell][aria-colindex="2"]');
    await cell.click();
    const dialog = page.getByRole('dialog', { name: 'other:1b on left' });
    await dialog.getByRole('button', { name: 'Load' }).click();
    await dialog.getByText('done').waitFor();
    await page.keyboard.press('Escape');
    await expect.poll(() => cell.textContent()).toContain('warm');

    const running = fleet.chat({
      model: 'other:1b',
      stream: true,
      max_tokens: 400,
      messages: [{ role: 'user', content: 'Go on.' }],
    });
    await expect.poll(() => cell.textContent()).toContain('1/1');
    await cell.click();
    await dialog.getByRole('button', { name: 'Unload' }).click();
    await dialog.getByText('1 request uses it now.').waitFor();
    await dialog.getByRole('button', { name: 'Not now' }).click();
    await (await running).body?.cancel();
    await page.keyboard.press('Escape');
  });

  it('shows a load that goes on after a reload, and cancels it from another tab', async () => {
    await fleet.node('right').control('set', { coldLoadMsPerGb: 200_000 });
    await page.locator('[role=row][aria-rowindex="2"] [role=gridcell][aria-colindex="3"]').click();
    await page.getByRole('dialog').getByRole('button', { name: 'Load' }).click();
    await page.getByRole('dialog').getByText('under way').waitFor();
    await page.goto('/ui/');
    const cancel = (where: Page) => where.getByRole('button', { name: 'Cancel: Load other:1b on right' });
    await cancel(page).waitFor();
    const second = await visit.context.newPage();
    await second.goto('/ui/');
    await cancel(second).click();
    await page.getByText('canceled').waitFor();
    await second.close();
    await fleet.node('right').control('set', { coldLoadMsPerGb: 100 });
  });

  it('says when it is not connected, lets nobody ask then, and is right again after a restart', async () => {
    await says('Both machines are up.');
    fleet.coordinator.kill('SIGKILL');
    await fleet.coordinator.exited;
    await says(/Not connected since \d\d:\d\d:\d\d/);
    const add = page.getByRole('button', { name: 'Add a machine' });
    await expect.poll(() => add.getAttribute('title')).toContain('Not connected');
    // What was known stays to be read.
    expect(await card('left').count()).toBe(1);
    await fleet.restartCoordinator();
    await isGone(/Not connected since/);
    await says('Both machines are up.');
  });

  it('makes no markup of what machines and operators call things', async () => {
    const { nodeId } = (await fleet.status()).nodes.find(({ snapshot }) => snapshot?.name === 'right') ?? { nodeId: '' };
    await page.goto(`/ui/machines/${nodeId}/settings`);
    await fleet.node('right').control('fault', { kind: 'oom', text: '<img src=x onerror=alert(1)> ‮no memory' });
    await fetch(`${fleet.url}/api/v1/nodes/${nodeId}/commands`, {
      method: 'POST',
      headers: { authorization: `Bearer ${fleet.key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ type: 'model.load', model: 'story:1b' }),
    }).then((response) => response.text());
    await page.goto('/ui/');
    await card('right').waitFor();
    expect(await page.locator('img[src="x"]').count()).toBe(0);
    expect((await visit.seen()).policy).toEqual([]);
  });

  it('asks for the password again when the session has ended, and goes on where it was', async () => {
    await page.goto('/ui/machines');
    await card('left').waitFor();
    const { data } = { data: (await (await visit.context.request.get('/api/v1/sessions')).json()) as { id: string }[] };
    for (const { id } of data)
      await visit.context.request.delete(`/api/v1/sessions/${id}`, { headers: { 'sec-fetch-site': 'same-origin' } });
    const dialog = page.getByRole('dialog', { name: 'You are signed out' });
    await dialog.getByLabel('Password').fill(OPERATOR.password);
    await dialog.getByRole('button', { name: 'Sign in' }).click();
    await dialog.waitFor({ state: 'detached' });
    await page.getByText('live', { exact: true }).waitFor();
    expect(page.url()).toContain('/ui/machines');
  });

  it('sends whoever is signed out to the door and back, and nowhere else', async () => {
    const stranger = await Visit.open(browser, fleet.url);
    await stranger.page.goto('/ui/models?by=node');
    await stranger.page.waitForURL(/\/sign-in\?to=/);
    await stranger.page.getByLabel('Name').fill(OPERATOR.name);
    await stranger.page.getByLabel('Password', { exact: true }).fill(OPERATOR.password);
    await stranger.page.getByRole('button', { name: 'Sign in' }).click();
    await stranger.page.waitForURL('**/ui/models?by=node');
    await stranger.page.getByRole('grid').waitFor();
    for (const to of ['//evil.test', 'https://evil.test/ui/', '/v1', '/ui/../v1', 'javascript:alert(1)']) {
      const other = await Visit.open(browser, fleet.url);
      await other.page.goto(`/sign-in?to=${encodeURIComponent(to)}`);
      await other.page.getByLabel('Name').fill(OPERATOR.name);
      await other.page.getByLabel('Password', { exact: true }).fill(OPERATOR.password);
      await other.page.getByRole('button', { name: 'Sign in' }).click();
      await other.page.getByText('You are ada (admin).').waitFor();
      expect(new URL(other.page.url()).pathname).toBe('/sign-in');
      await other.close();
    }
    await stranger.close();
  });

  it('never had an error in its console but the refusals that were meant', () => {
    expect(visit.problems.filter((problem) => !/Failed to load resource|ERR_CONNECTION|ERR_INCOMPLETE/.test(problem))).toEqual(
      [],
    );
  });
});
