import { createCipheriv, createDecipheriv, createHmac, hash, hkdfSync, randomBytes } from 'node:crypto';
import { StewardError } from '../errors.ts';
import { Secret } from '../secret.ts';

/**
 * Where a sealed text belongs. All of it is authenticated: a ciphertext copied to another table, column,
 * row, client id or version does not open.
 */
export type VaultPlace = {
  readonly table: 'grants' | 'candidates' | 'connect_attempts' | 'personal_consents';
  readonly column: 'sealed_access' | 'sealed_refresh' | 'sealed_verifier';
  /** id of the row */
  readonly id: string;
  readonly clientId: string;
  /** version of the tokens; 0 where a row has none */
  readonly version: number;
};

export type VaultKey = { readonly id: string; readonly key: Secret };

export type VaultOpened =
  | { readonly ok: true; readonly secret: Secret }
  | {
      readonly ok: false;
      readonly reason: 'malformed' | 'key_missing' | 'not_authentic';
      readonly keyId: string | null;
    };

export type Vault = {
  /** The text form `v1.keyId.iv.ciphertext.tag` (base64url parts), under the active key. */
  seal(secret: Secret, place: VaultPlace): string;
  /** The secret, or why it does not open. Never throws: a row that does not open is no dead grant. */
  open(sealed: string, place: VaultPlace): VaultOpened;
  /**
   * Keyed hashes of a text, `#keyId.hash`, one for each key of the ring, the active one's first: equal texts have equal
   * ones, and nobody without the key can try texts out.
   */
  pseudonyms(text: string): readonly string[];
  readonly activeKeyId: string;
  readonly keyIds: readonly string[];
};

const algorithm = 'aes-256-gcm';
const hashPurpose = 'zoom-steward pseudonyms v1';
const keyBytes = 32;
const ivBytes = 12;
const tagBytes = 16;
const keyIdShape = /^[A-Za-z0-9_-]{1,32}$/;

// JSON keeps the borders between the parts: no two places have the same text.
const associated = (place: VaultPlace): Buffer =>
  Buffer.from(JSON.stringify(['v1', place.table, place.column, place.id, place.clientId, place.version]));

/** Key id of a sealed text, or null where it is not one; for counting the rows under a key. */
export function keyIdOf(sealed: string): string | null {
  const parts = sealed.split('.');
  return parts.length === 5 && parts[0] === 'v1' ? (parts[1] ?? null) : null;
}

function parseKey(id: string, key: Secret): Buffer {
  if (!keyIdShape.test(id)) {
    throw new StewardError(
      'vault_key_invalid',
      `A key id must match ${keyIdShape}, got ${JSON.stringify(id)}; rename it in the key ring.`,
    );
  }
  const bytes = Buffer.from(key.reveal(), 'base64');
  if (bytes.length !== keyBytes) {
    throw new StewardError(
      'vault_key_invalid',
      `Key "${id}" must be ${keyBytes} bytes in base64, got ${bytes.length} bytes; make one with: openssl rand -base64 ${keyBytes}`,
    );
  }
  return bytes;
}

const hashBytes = 32;
const blockBytes = 64;
/** of a text in UTF-8; addresses are shorter */
const roomBytes = 960;

/**
 * HMAC-SHA-256 of texts under one key, in base64url. A walk makes one for every user, and an object of Node's for each would
 * be twice its cost: here two plain hashes, as RFC 2104 says, over buffers that are made once.
 */
function createHasher(key: Buffer): (text: string) => string {
  const inner = Buffer.alloc(blockBytes + roomBytes, 0x36);
  const outer = Buffer.alloc(blockBytes + hashBytes, 0x5c);
  for (const [at, byte] of key.entries()) {
    inner[at] = byte ^ 0x36;
    outer[at] = byte ^ 0x5c;
  }
  return (text) => {
    // A unit of UTF-16 is three bytes at most.
    if (text.length * 3 > roomBytes) return createHmac('sha256', key).update(text).digest('base64url');
    const end = blockBytes + inner.write(text, blockBytes);
    outer.write(hash('sha256', inner.subarray(0, end), 'binary'), blockBytes, 'binary');
    return hash('sha256', outer, 'base64url');
  };
}

/**
 * Seals and opens tokens with AES-256-GCM (operations, Security).
 * @param keys the ring, each key 32 bytes in base64; all of them open, only the active one seals
 */
export function createVault({ keys, activeKeyId }: { keys: readonly VaultKey[]; activeKeyId: string }): Vault {
  const ring = new Map(keys.map(({ id, key }) => [id, parseKey(id, key)]));
  const active = ring.get(activeKeyId);
  if (!active) {
    throw new StewardError(
      'vault_key_missing',
      `The active key "${activeKeyId}" is not in the key ring (${[...ring.keys()].join(', ') || 'empty'}); add it or name another one.`,
    );
  }
  // What seals does nothing else: hashes have keys of their own, made of those of the ring.
  const hashKeys = [activeKeyId, ...[...ring.keys()].filter((id) => id !== activeKeyId)].map((id) => ({
    id,
    hashOf: createHasher(Buffer.from(hkdfSync('sha256', ring.get(id) as Buffer, '', hashPurpose, keyBytes))),
  }));
  return {
    activeKeyId,
    keyIds: [...ring.keys()],

    pseudonyms: (text) => hashKeys.map(({ id, hashOf }) => `#${id}.${hashOf(text)}`),

    seal(secret, place) {
      const iv = randomBytes(ivBytes);
      const cipher = createCipheriv(algorithm, active, iv, { authTagLength: tagBytes });
      cipher.setAAD(associated(place));
      const text = Buffer.concat([cipher.update(secret.reveal(), 'utf8'), cipher.final()]);
      return ['v1', activeKeyId, ...[iv, text, cipher.getAuthTag()].map((part) => part.toString('base64url'))].join(
        '.',
      );
    },

    open(sealed, place) {
      const keyId = keyIdOf(sealed);
      if (keyId === null) return { ok: false, reason: 'malformed', keyId };
      const key = ring.get(keyId);
      if (!key) return { ok: false, reason: 'key_missing', keyId };
      const [iv, text, tag] = sealed
        .split('.')
        .slice(2)
        .map((part) => Buffer.from(part, 'base64url')) as [Buffer, Buffer, Buffer];
      // A shorter tag would be accepted by GCM with less certainty.
      if (iv.length !== ivBytes || tag.length !== tagBytes) return { ok: false, reason: 'malformed', keyId };
      try {
        const decipher = createDecipheriv(algorithm, key, iv, { authTagLength: tagBytes });
        decipher.setAAD(associated(place));
        decipher.setAuthTag(tag);
        return {
          ok: true,
          secret: new Secret(Buffer.concat([decipher.update(text), decipher.final()]).toString('utf8')),
        };
      } catch {
        return { ok: false, reason: 'not_authentic', keyId };
      }
    },
  };
}
