import { defineConfig } from 'vitest/config';

const projects = {
  /** Pure code and single rooms; no network beyond loopback, no Redis. Seconds. */
  unit: {
    include: ['{shared,coordinator,agent}/src/**/*.test.ts', 'coordinator/dashboard/**/*.test.ts', 'scripts/**/*.test.ts'],
    exclude: ['**/*.{integration,e2e,engines,browser}.test.ts', '**/node_modules/**'],
  },
  /** Against real Redis processes that the tests start themselves. */
  integration: { include: ['**/*.integration.test.ts'] },
  /** Real processes: coordinator, Redis, agents, mock engines, killed and restarted. */
  e2e: { include: ['scripts/e2e/**/*.e2e.test.ts'] },
  /** The dashboard in a real Chromium, before real coordinators and agents. */
  browser: { include: ['scripts/dashboard/**/*.browser.test.ts'] },
  /** Real llama-server and, where Go is present, real Ollama. */
  engines: { include: ['scripts/**/*.engines.test.ts'] },
};

export default defineConfig({
  test: {
    projects: Object.entries(projects).map(([name, options]) => ({
      test: {
        name,
        exclude: ['**/node_modules/**', '**/dist/**'],
        ...options,
        // Generous, for machines that do something else too.
        testTimeout: name === 'unit' ? 20_000 : 60_000,
        hookTimeout: 120_000,
        expect: { poll: { timeout: 10_000 } },
        // Suites that start processes take turns: two cores are all we ask for.
        fileParallelism: name === 'unit',
      },
    })),
  },
});
