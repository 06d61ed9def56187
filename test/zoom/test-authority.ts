import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';

/** A certificate and its key, PEM. */
export type Identity = { readonly cert: string; readonly key: string };

const tlv = (tag: number, ...parts: Buffer[]): Buffer => {
  const content = Buffer.concat(parts);
  const { length } = content;
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
};
const sequence = (...parts: Buffer[]): Buffer => tlv(0x30, ...parts);
const oid = (hex: string): Buffer => tlv(0x06, Buffer.from(hex, 'hex'));
const octets = (content: Buffer): Buffer => tlv(0x04, content);
const text = (value: string): Buffer => tlv(0x0c, Buffer.from(value));
const time = (ms: number): Buffer =>
  tlv(0x18, Buffer.from(`${new Date(ms).toISOString().replace(/[-:T]/g, '').slice(0, 14)}Z`));

const ecdsaWithSha256 = sequence(oid('2a8648ce3d040302'));
const nameOf = (common: string): Buffer => sequence(tlv(0x31, sequence(oid('550403'), text(common))));
const extension = (id: string, value: Buffer): Buffer => sequence(oid(id), octets(value));
const yes = tlv(0x01, Buffer.from([0xff]));
const dayMs = 86_400_000;

const pem = (der: Buffer): string =>
  `-----BEGIN CERTIFICATE-----\n${(der.toString('base64').match(/.{1,64}/g) ?? []).join('\n')}\n-----END CERTIFICATE-----\n`;

function certificate(facts: {
  subject: string;
  publicKey: KeyObject;
  issuer: string;
  signer: KeyObject;
  extensions: Buffer;
}): string {
  const body = sequence(
    tlv(0xa0, tlv(0x02, Buffer.from([2]))),
    tlv(0x02, Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    ecdsaWithSha256,
    nameOf(facts.issuer),
    sequence(time(Date.now() - dayMs), time(Date.now() + dayMs)),
    nameOf(facts.subject),
    facts.publicKey.export({ type: 'spki', format: 'der' }),
    tlv(0xa3, sequence(facts.extensions)),
  );
  const signature = sign('sha256', body, facts.signer);
  return pem(sequence(body, ecdsaWithSha256, tlv(0x03, Buffer.from([0]), signature)));
}

const newKey = () => generateKeyPairSync('ec', { namedCurve: 'P-256' });

/** A certificate authority that lives as long as the test, and identities it signs for host names. */
export function createTestAuthority(): { readonly ca: string; identity(...hosts: string[]): Identity } {
  const own = newKey();
  const issuer = 'zoom-steward test authority';
  const ca = certificate({
    subject: issuer,
    publicKey: own.publicKey,
    issuer,
    signer: own.privateKey,
    extensions: extension('551d13', sequence(yes)),
  });
  return {
    ca,
    identity(...hosts) {
      const pair = newKey();
      const names = sequence(...hosts.map((host) => tlv(0x82, Buffer.from(host))));
      const cert = certificate({
        subject: hosts[0] ?? 'nobody',
        publicKey: pair.publicKey,
        issuer,
        signer: own.privateKey,
        extensions: extension('551d11', names),
      });
      return { cert, key: pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() };
    },
  };
}
