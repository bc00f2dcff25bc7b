import { z } from 'zod';
import { NodeSnapshot } from './node.ts';

/** Shapes of the management API (`/api/v1/…`), shared by the coordinator, the CLI and the dashboard. */

export const EnrollRequest = z.object({
  token: z.string().min(1).max(256),
  name: z
    .string()
    .min(1)
    .max(64)
    .regex(/^[A-Za-z0-9 ._-]+$/, 'letters, digits, space, dot, underscore and dash only'),
  /** Raw Ed25519 public key, base64. The private half never leaves the node. */
  publicKey: z.string().length(44),
});
export type EnrollRequest = z.infer<typeof EnrollRequest>;

export const EnrollResponse = z.object({
  nodeId: z.string(),
  /** The coordinator's raw Ed25519 public key, base64; the node pins it. */
  coordinatorKey: z.string(),
});
export type EnrollResponse = z.infer<typeof EnrollResponse>;

export const NodeView = z.object({
  nodeId: z.string(),
  epoch: z.number().int(),
  liveness: z.enum(['alive', 'suspect', 'offline']),
  snapshot: NodeSnapshot.nullable(),
});
export type NodeView = z.infer<typeof NodeView>;

export const FleetStatus = z.object({
  version: z.string(),
  uptimeSeconds: z.number(),
  redis: z.enum(['up', 'down']),
  waiting: z.number().int(),
  running: z.number().int(),
  nodes: z.array(NodeView),
});
export type FleetStatus = z.infer<typeof FleetStatus>;
