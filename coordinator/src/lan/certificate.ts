import { createHash, type KeyObject, randomBytes, sign } from 'node:crypto';
import { isIPv4 } from 'node:net';
import { bits, boolean, explicit, implicit, integer, objectId, octets, sequence, set, time, utf8 } from './der.ts';

const ECDSA_WITH_SHA256 = sequence(objectId('1.2.840.10045.4.3.2'));
const COMMON_NAME = '2.5.4.3';
const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';
const EXTENSIONS = {
  subjectKey: '2.5.29.14',
  keyUsage: '2.5.29.15',
  alternativeNames: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKey: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
};

export interface CertificateContent {
  readonly subject: string;
  readonly issuer: string;
  readonly fromMs: number;
  readonly untilMs: number;
  /** EC, P-256. */
  readonly publicKey: KeyObject;
  readonly issuerPublicKey: KeyObject;
  readonly issuerPrivateKey: KeyObject;
  /** Names and IPv4 addresses of a server; null: the certificate is that of an authority. */
  readonly serverNames: readonly string[] | null;
}

/** An X.509 certificate (RFC 5280) in PEM. */
export const certificate = (content: CertificateContent): string => {
  const { subject, issuer, fromMs, untilMs, publicKey, issuerPrivateKey } = content;
  const toBeSigned = sequence(
    explicit(0, integer(Buffer.from([2]))),
    integer(serialNumber()),
    ECDSA_WITH_SHA256,
    name(issuer),
    sequence(time(fromMs), time(untilMs)),
    name(subject),
    spkiOf(publicKey),
    explicit(3, sequence(...extensions(content))),
  );
  const signature = sign('sha256', toBeSigned, issuerPrivateKey);
  return pem('CERTIFICATE', sequence(toBeSigned, ECDSA_WITH_SHA256, bits(signature)));
};

export const spkiOf = (key: KeyObject): Buffer => key.export({ type: 'spki', format: 'der' });

const extensions = ({ serverNames, publicKey, issuerPublicKey }: CertificateContent): Buffer[] => [
  extension(EXTENSIONS.subjectKey, octets(keyId(publicKey))),
  extension(EXTENSIONS.authorityKey, sequence(implicit(0, keyId(issuerPublicKey)))),
  ...(serverNames === null
    ? [
        extension(EXTENSIONS.basicConstraints, sequence(boolean(true), integer(Buffer.from([0]))), true),
        // keyCertSign and cRLSign
        extension(EXTENSIONS.keyUsage, bits(Buffer.from([0b0000_0110]), 1), true),
      ]
    : [
        extension(EXTENSIONS.basicConstraints, sequence(), true),
        // digitalSignature
        extension(EXTENSIONS.keyUsage, bits(Buffer.from([0b1000_0000]), 7), true),
        extension(EXTENSIONS.extendedKeyUsage, sequence(objectId(SERVER_AUTH))),
        extension(EXTENSIONS.alternativeNames, sequence(...serverNames.map(generalName))),
      ]),
];

const extension = (id: string, value: Buffer, isCritical = false): Buffer =>
  sequence(objectId(id), ...(isCritical ? [boolean(true)] : []), octets(value));

const generalName = (value: string): Buffer =>
  isIPv4(value) ? implicit(7, Buffer.from(value.split('.').map(Number))) : implicit(2, Buffer.from(value, 'ascii'));

const name = (commonName: string): Buffer => sequence(set(sequence(objectId(COMMON_NAME), utf8(commonName))));

const keyId = (key: KeyObject): Buffer => createHash('sha256').update(spkiOf(key)).digest().subarray(0, 20);

/** 63 bits, positive: never the same twice under one authority. */
const serialNumber = (): Buffer => {
  const bytes = randomBytes(8);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes;
};

const pem = (label: string, der: Buffer): string =>
  `-----BEGIN ${label}-----\n${der.toString('base64').replaceAll(/.{64}/g, '$&\n').trimEnd()}\n-----END ${label}-----\n`;
