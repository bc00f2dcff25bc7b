import { bodies } from './bodies.ts';
import type { Campaign } from './campaign.ts';
import { engineValues } from './engine-values.ts';
import { streams } from './streams.ts';

/** Every campaign by the name under which it is run. */
export const CAMPAIGNS: Readonly<Record<string, Campaign>> = { bodies, streams, 'engine-values': engineValues };
