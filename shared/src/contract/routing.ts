import { z } from 'zod';
import * as routing from '../routing-api.ts';
import { operations } from './operation.ts';

/** Where requests go: rules, providers, and what would happen. */
export const routingOperations = operations({
  'POST /api/v1/routes/preview': {
    operationId: 'previewRoute',
    action: 'fleet.read',
    summary: 'Where a request would go now and why, without running it',
    request: routing.RoutePreviewQuestion,
    response: routing.RoutePreview,
  },
  'GET /api/v1/providers': {
    operationId: 'listProviders',
    action: 'fleet.read',
    summary: 'Providers: their health, how busy they are, and their models',
    response: z.array(routing.ProviderView),
  },
  'GET /api/v1/config': {
    operationId: 'getConfiguration',
    action: 'fleet.read',
    summary: 'The configuration files: since when they are in force, or why they are not',
    response: routing.ConfigurationView,
  },
});
