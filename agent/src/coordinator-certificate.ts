import https from 'node:https';
import tls from 'node:tls';
import { CERTIFICATE_PATH, CoordinatorCertificate, certificateTranscript } from '@lai/shared/coordinator-certificate';
import { isSignedBy, keyFingerprint } from '@lai/shared/ed25519';

const LIMIT_MS = 10_000;
const MAX_BYTES = 32 * 1024;

/** From now on, what this process connects to may also be vouched for by this authority (PEM), which a coordinator made for itself. */
export const trustAuthority = (certificate: string): void => {
  const known = tls.getCACertificates('default');
  if (!known.includes(certificate)) tls.setDefaultCACertificates([...known, certificate]);
};

/** Whether a request failed because nobody that this machine trusts vouches for the other side. */
export const isUntrusted = (error: unknown): boolean => {
  const { cause, code } = error as { cause?: { code?: string }; code?: string };
  return /^(?:SELF_SIGNED_CERT_IN_CHAIN|DEPTH_ZERO_SELF_SIGNED_CERT|UNABLE_TO_GET_ISSUER_CERT(?:_LOCALLY)?|UNABLE_TO_VERIFY_LEAF_SIGNATURE|CERT_SIGNATURE_FAILURE)$/.test(
    cause?.code ?? code ?? '',
  );
};

/**
 * The authority of a coordinator that makes its own certificate, fetched without trusting anybody on the way: it counts only when it is
 * signed with the key of that fingerprint. Null when there is none, or somebody else answers.
 */
export const provenAuthority = async (url: string, coordinatorFingerprint: string): Promise<string | null> => {
  const parsed = CoordinatorCertificate.safeParse(await unverified(`${url.replace(/\/$/, '')}${CERTIFICATE_PATH}`));
  if (!parsed.success) return null;
  const { certificate, coordinatorKey, signature } = parsed.data;
  if ((await keyFingerprint(coordinatorKey)) !== coordinatorFingerprint) return null;
  return (await isSignedBy(coordinatorKey, signature, certificateTranscript(certificate))) ? certificate : null;
};

/** JSON of whoever answers; null for anything else. Nothing of ours is sent. */
const unverified = (url: string): Promise<unknown> =>
  new Promise((resolve) => {
    // An agent of its own: no connection that was not verified may be used again.
    const agent = new https.Agent({ rejectUnauthorized: false });
    const request = https.get(url, { agent, signal: AbortSignal.timeout(LIMIT_MS) }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (piece: string) => {
        text += piece;
        if (text.length > MAX_BYTES) request.destroy();
      });
      response.on('end', () => resolve(jsonOr(text)));
      response.on('error', () => resolve(null));
      response.on('close', () => resolve(null));
    });
    request.on('error', () => resolve(null));
  });

const jsonOr = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
};
