import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Browser, BrowserContext, Locator, Page } from 'playwright-core';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
/** WCAG 2.2 AA, and what axe calls best practice. */
const TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

/** In the page, from its beginning: what it asks for against its policy, and how much of it jumps. */
const LOOK_OUT = `
  window.seen = { policy: [], shift: 0 };
  addEventListener('securitypolicyviolation', (event) =>
    window.seen.policy.push(event.violatedDirective + ': ' + event.blockedURI + ' ' + event.sample));
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.seen.shift += entry.value;
  }).observe({ type: 'layout-shift', buffered: true });
`;

export interface Look {
  readonly width: number;
  readonly height: number;
  readonly theme: 'light' | 'dark';
}

/** A browser's window, and what went wrong in it: nothing may, but what a test names. */
export class Visit {
  readonly context: BrowserContext;
  readonly page: Page;
  readonly problems: string[] = [];

  private constructor(context: BrowserContext, page: Page) {
    this.context = context;
    this.page = page;
    this.watch(page);
  }

  static async open(browser: Browser, url: string, look: Partial<Look> = {}): Promise<Visit> {
    const { width = 1280, height = 800, theme = 'light' } = look;
    const context = await browser.newContext({
      ...{ baseURL: url, viewport: { width, height }, colorScheme: theme, locale: 'en-GB', reducedMotion: 'reduce' },
      permissions: ['clipboard-read', 'clipboard-write'],
    });
    await context.addInitScript({ content: LOOK_OUT });
    return new Visit(context, await context.newPage());
  }

  watch(page: Page): void {
    page.on('pageerror', (error) => this.problems.push(`error: ${error.message}`));
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') this.problems.push(`console: ${message.text()}`);
    });
  }

  async signIn({ name, password }: { name: string; password: string }): Promise<void> {
    const response = await this.context.request.post('/api/v1/session', {
      data: { name, password },
      headers: { 'sec-fetch-site': 'same-origin' },
    });
    if (!response.ok()) throw new Error(`sign-in: ${response.status()} ${await response.text()}`);
  }

  /** What axe finds wrong, in words. */
  async axe(): Promise<string[]> {
    await this.page.evaluate(AXE);
    const found = (await this.page.evaluate(
      `axe.run(document, { runOnly: ${JSON.stringify(TAGS)}, resultTypes: ['violations'] })`,
    )) as { violations: { id: string; help: string; nodes: { html: string; failureSummary: string }[] }[] };
    return found.violations.flatMap(({ id, nodes }) =>
      nodes.map(({ html, failureSummary }) => `${id}: ${html.slice(0, 200)} ${failureSummary.slice(0, 300)}`),
    );
  }

  /** Layout shift so far, violations of the policy, and by how much the page is wider than the window. */
  async seen(): Promise<{ shift: number; policy: string[]; overflowPx: number }> {
    const root = 'document.documentElement';
    return this.page.evaluate(`({ ...window.seen, overflowPx: ${root}.scrollWidth - ${root}.clientWidth })`);
  }

  /** Has this element the focus? */
  hasFocus(element: Locator): Promise<boolean> {
    return element.evaluate((node: { ownerDocument: { activeElement: unknown } }) => node === node.ownerDocument.activeElement);
  }

  close(): Promise<void> {
    return this.context.close();
  }
}
