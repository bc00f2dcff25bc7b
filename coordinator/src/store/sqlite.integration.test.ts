import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { storeConformance } from './conformance.ts';

const folder = mkdtempSync(join(tmpdir(), 'lai-sqlite-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let count = 0;
storeConformance('SQLite', async () => {
  count += 1;
  return join(folder, `${count}.sqlite`);
});
