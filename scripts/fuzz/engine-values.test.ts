import { expect, it } from 'vitest';
import { runCampaign } from './campaign.ts';
import { engineValues } from './engine-values.ts';

it('shows and tells all that can be shown and told, whatever values engines give', async () => {
  const verdict = await runCampaign(engineValues, { runs: 4_000, seed: Date.now() % 2 ** 31 });
  expect(verdict.violation?.report ?? null).toBeNull();
});
