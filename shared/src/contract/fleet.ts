import { z } from 'zod';
import * as admin from '../admin-api.ts';
import * as fleet from '../fleet-api.ts';
import { operations } from './operation.ts';

/** Machines: how they join, what they do, and what they are told. */
export const fleetOperations = operations({
  'GET /api/v1/status': {
    operationId: 'getStatus',
    action: 'fleet.read',
    summary: 'The fleet: nodes, models, what runs and waits',
    response: admin.FleetStatus,
  },
  'GET /api/v1/fleet': {
    operationId: 'getFleet',
    action: 'fleet.read',
    summary: 'The fleet as the feed tells it: machines, what is wanted of them and what they do, commands under way',
    response: fleet.FleetLevel,
  },
  'GET /api/v1/events': {
    operationId: 'watchFleet',
    action: 'fleet.read',
    summary: 'The feed: the fleet as it is, then every change of it, as server-sent events. Levels, not edges',
    stream: 'text/event-stream',
    event: z.union(Object.values(fleet.FEED_EVENTS)),
  },
  'GET /api/v1/models/matrix': {
    operationId: 'getModelMatrix',
    action: 'fleet.read',
    summary: 'Which machine has which model, one character each',
    response: fleet.ModelMatrix,
  },
  'GET /api/v1/commands': {
    operationId: 'listCommands',
    action: 'fleet.read',
    summary: 'Loads, unloads, pulls and deletions: those under way and the last ones that ended',
    query: z.object({ node: z.string().max(64).optional().describe('Only those of this node.') }),
    response: z.array(fleet.CommandView),
  },
  'GET /api/v1/requests/{id}/explanation': {
    operationId: 'explainRequest',
    action: 'request.explain',
    summary: 'Why a request ran where it ran',
    response: admin.Explanation,
  },
  'POST /api/v1/enroll': {
    operationId: 'enrollNode',
    action: 'node.enroll',
    summary: 'A machine joins, with a registration token',
    request: admin.EnrollRequest,
    response: admin.EnrollResponse,
  },
  'GET /api/v1/tokens': {
    operationId: 'listTokens',
    action: 'token.read',
    summary: 'Registration tokens',
    response: z.array(admin.TokenView),
  },
  'POST /api/v1/tokens': {
    operationId: 'createToken',
    action: 'token.write',
    summary: 'A new registration token',
    request: admin.NewToken,
    response: admin.IssuedToken,
    status: 201,
  },
  'DELETE /api/v1/tokens/{id}': {
    operationId: 'revokeToken',
    action: 'token.write',
    summary: 'Revoke a registration token',
    response: admin.TokenView,
  },
  'GET /api/v1/nodes': {
    operationId: 'listNodes',
    action: 'node.read',
    summary: 'Machines that have joined',
    response: z.array(admin.NodeEntry),
  },
  'GET /api/v1/nodes/{id}': {
    operationId: 'getNode',
    action: 'node.read',
    summary: 'One machine: what is wanted of it, what it does, all its models, and how fast they were',
    response: fleet.NodeDetail,
  },
  'PATCH /api/v1/nodes/{id}': {
    operationId: 'changeNode',
    action: 'node.write',
    summary: 'Rename, regroup or drain a node, pin its models, set its gaming mode',
    request: admin.NodeChange,
    response: admin.NodeEntry,
  },
  'POST /api/v1/nodes/{id}/approve': {
    operationId: 'approveNode',
    action: 'node.write',
    summary: 'Let a node in',
    response: admin.NodeEntry,
  },
  'POST /api/v1/nodes/{id}/revoke': {
    operationId: 'revokeNode',
    action: 'node.write',
    summary: 'Shut a node out',
    response: admin.NodeEntry,
  },
  'DELETE /api/v1/nodes/{id}': {
    operationId: 'removeNode',
    action: 'node.write',
    summary: 'Forget a node',
    response: admin.NodeEntry,
  },
  'POST /api/v1/nodes/{id}/commands': {
    operationId: 'commandNode',
    action: 'node.write',
    summary: "Load, unload, pull or delete one of a node's models, and watch it",
    request: admin.NodeCommand,
    stream: 'application/x-ndjson',
    event: admin.NodeCommandEvent,
  },
  'DELETE /api/v1/nodes/{id}/commands/{command}': {
    operationId: 'cancelCommand',
    action: 'node.write',
    summary: 'Stop a load or a pull',
  },
});
