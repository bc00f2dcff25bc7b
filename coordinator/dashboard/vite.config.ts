import tailwindcss from '@tailwindcss/vite';
import { defineConfig } from 'vite';
import { packFiles } from './pack-files.ts';

/** `pnpm dashboard` in coordinator/: the page with a running coordinator behind it. */
const coordinator = process.env['LAI_URL'] ?? 'http://127.0.0.1:5240';
const proxied = Object.fromEntries(['/api', '/v1', '/sign-in', '/setup', '/docs'].map((path) => [path, coordinator]));

export default defineConfig({
  root: import.meta.dirname,
  base: '/ui/',
  plugins: [tailwindcss(), packFiles()],
  server: { host: '127.0.0.1', proxy: proxied },
  build: {
    outDir: '../dist/dashboard',
    emptyOutDir: true,
    target: 'es2023',
    // An inlined file or a polyfill in the page would need a hole in the content security policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    sourcemap: false,
    // Libraries mark what runs in a browser for servers that render; here everything does.
    rolldownOptions: { onLog: (level, log, tell) => log.code === 'MODULE_LEVEL_DIRECTIVE' || tell(level, log) },
    license: { fileName: 'licenses.md' },
  },
});
