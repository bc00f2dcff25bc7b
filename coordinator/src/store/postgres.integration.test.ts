import { afterAll, describe } from 'vitest';
import { startPostgres } from '../../../scripts/e2e/postgres.ts';
import { storeConformance } from './conformance.ts';

const postgres = await startPostgres();
afterAll(() => postgres?.stop());

// Where there is no PostgreSQL the suite is listed as left out, not as passed.
describe.skipIf(postgres === null)('on a real server', () => {
  storeConformance('PostgreSQL', () => postgres?.createDatabase() ?? Promise.reject(new Error('no PostgreSQL')));
});
