import type { Page } from 'playwright-core';

export interface DashboardPage {
  readonly name: string;
  readonly path: string | ((nodeId: string) => string);
  /** Resolves when what it is about can be seen. */
  readonly ready: (page: Page) => Promise<void>;
}

const seen =
  (role: 'grid' | 'article' | 'dialog' | 'table' | 'heading' | 'button', name?: string | RegExp) =>
  (page: Page): Promise<void> =>
    page
      .getByRole(role, name === undefined ? {} : { name })
      .first()
      .waitFor();

/** Every page and every dialog that has an address of its own. */
export const PAGES: readonly DashboardPage[] = [
  { name: 'overview', path: '/ui/', ready: seen('article', 'windows-rtx') },
  { name: 'machines', path: '/ui/machines', ready: seen('article', 'windows-rtx') },
  { name: 'machines-table', path: '/ui/machines?view=table', ready: seen('table') },
  { name: 'machine', path: (id) => `/ui/machines/${id}`, ready: seen('article', 'windows-rtx') },
  { name: 'machine-models', path: (id) => `/ui/machines/${id}/models`, ready: seen('table') },
  { name: 'machine-settings', path: (id) => `/ui/machines/${id}/settings`, ready: seen('button', 'Forget') },
  { name: 'models', path: '/ui/models?view=grid', ready: seen('grid') },
  { name: 'models-list', path: '/ui/models?view=list', ready: seen('heading', 'llama3.2:3b') },
  { name: 'add-machine', path: '/ui/?add', ready: seen('button', 'Copy') },
  { name: 'not-found', path: '/ui/nothing', ready: seen('heading', 'Nothing here') },
  { name: 'sign-in', path: '/sign-in', ready: seen('heading', 'Lai') },
];
