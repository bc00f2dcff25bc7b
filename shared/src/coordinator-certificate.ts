import { z } from 'zod';

/**
 * The certificate authority of a coordinator that makes its own (`lai up --lan`), signed with the coordinator's identity. A machine that
 * joins knows that identity from its token, so it can trust what it got over a connection that nothing else vouches for.
 */
export const CoordinatorCertificate = z.object({
  /** PEM. */
  certificate: z.string().max(8_192),
  /** Ed25519, base64. */
  coordinatorKey: z.string().max(64),
  /** Of `certificateTranscript`, base64. */
  signature: z.string().max(128),
});
export type CoordinatorCertificate = z.infer<typeof CoordinatorCertificate>;

/** Says what it is signed for, so that no other signature of the same key can be shown in its place. */
export const certificateTranscript = (certificate: string): Uint8Array =>
  new TextEncoder().encode(`lai coordinator certificate\n${certificate}`);

export const CERTIFICATE_PATH = '/api/v1/certificate';
