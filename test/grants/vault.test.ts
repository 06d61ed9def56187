import { createHmac, hkdfSync } from 'node:crypto';
import { inspect } from 'node:util';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createVault, keyIdOf, type VaultPlace } from '../../src/grants/vault.ts';
import { Secret } from '../../src/secret.ts';
import { newKey } from './setting.ts';

const place: VaultPlace = { table: 'grants', column: 'sealed_refresh', id: 'a', clientId: 'c', version: 3 };
const old = newKey('old');
const current = newKey('k-2026_11');

describe('vault', () => {
  test('opens what it sealed, for any text', () => {
    const vault = createVault({ keys: [current], activeKeyId: current.id });
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 3000 }), (text) => {
        const opened = vault.open(vault.seal(new Secret(text), place), place);
        expect(opened.ok && opened.secret.reveal()).toBe(text);
      }),
      { numRuns: 100 },
    );
  });

  test('has the text form v1.keyId.iv.ciphertext.tag, never twice the same, without the secret', () => {
    const vault = createVault({ keys: [current], activeKeyId: current.id });
    const sealed = vault.seal(new Secret('eyJ-token'), place);
    expect(sealed).toMatch(/^v1\.k-2026_11\.[\w-]{16}\.[\w-]+\.[\w-]{22}$/);
    expect(keyIdOf(sealed)).toBe(current.id);
    expect(vault.seal(new Secret('eyJ-token'), place)).not.toBe(sealed);
    expect(inspect(vault, { depth: 9 })).not.toContain(current.key.reveal());
  });

  test.each<[string, Partial<VaultPlace>]>([
    ['table', { table: 'candidates' }],
    ['column', { column: 'sealed_access' }],
    ['row', { id: 'b' }],
    ['client id', { clientId: 'd' }],
    ['version', { version: 4 }],
  ])('a ciphertext copied to another %s does not open', (_name, other) => {
    const vault = createVault({ keys: [current], activeKeyId: current.id });
    const sealed = vault.seal(new Secret('token'), place);
    expect(vault.open(sealed, { ...place, ...other })).toEqual({
      ok: false,
      reason: 'not_authentic',
      keyId: current.id,
    });
  });

  test('the borders between the parts of a place count', () => {
    const vault = createVault({ keys: [current], activeKeyId: current.id });
    const sealed = vault.seal(new Secret('token'), { ...place, id: 'a","b', clientId: 'c' });
    expect(vault.open(sealed, { ...place, id: 'a', clientId: 'b","c' }).ok).toBe(false);
  });

  test('any changed character makes it unreadable', () => {
    const vault = createVault({ keys: [current], activeKeyId: current.id });
    const sealed = vault.seal(new Secret('token'), place);
    const parts = sealed.split('.');
    for (const at of [2, 3, 4]) {
      const part = parts[at] as string;
      const changed = parts.with(at, (part.startsWith('A') ? 'B' : 'A') + part.slice(1)).join('.');
      expect(vault.open(changed, place).ok, changed).toBe(false);
    }
  });

  test.each(['', 'v1', 'v2.k.a.b.c', 'v1.k-2026_11.AAAA.AAAA.AAAA', 'plain text', 'v1.....'])(
    '%j is refused, not thrown',
    (text) => {
      expect(createVault({ keys: [current], activeKeyId: current.id }).open(text, place).ok).toBe(false);
    },
  );

  test('several keys read, the active one seals; a missing key is named', () => {
    const before = createVault({ keys: [old], activeKeyId: old.id });
    const during = createVault({ keys: [old, current], activeKeyId: current.id });
    const after = createVault({ keys: [current], activeKeyId: current.id });
    const sealed = before.seal(new Secret('token'), place);
    expect(during.open(sealed, place).ok).toBe(true);
    expect(keyIdOf(during.seal(new Secret('token'), place))).toBe(current.id);
    expect(after.open(sealed, place)).toEqual({ ok: false, reason: 'key_missing', keyId: 'old' });
    // The same id over another key is no way in.
    expect(createVault({ keys: [newKey('old')], activeKeyId: 'old' }).open(sealed, place).ok).toBe(false);
  });

  test('refuses a ring it cannot use', () => {
    expect(() => createVault({ keys: [current], activeKeyId: 'other' })).toThrow(/active key "other"/);
    expect(() => createVault({ keys: [{ id: 'k', key: new Secret('c2hvcnQ=') }], activeKeyId: 'k' })).toThrow(
      /32 bytes/,
    );
    expect(() => createVault({ keys: [{ id: 'a.b', key: current.key }], activeKeyId: 'a.b' })).toThrow(/key id/);
  });

  test('gives equal texts equal hashes under each key, the active one first, and others to others', () => {
    const old = newKey('old');
    const vault = createVault({ keys: [old, current], activeKeyId: current.id });
    const [first, second] = vault.pseudonyms('anna@a.example');
    expect(first).toMatch(new RegExp(`^#${current.id}\\.[A-Za-z0-9_-]{43}$`));
    expect(second).toBe(createVault({ keys: [old], activeKeyId: 'old' }).pseudonyms('anna@a.example')[0]);
    expect(vault.pseudonyms('anna@a.example')).toEqual([first, second]);
    expect(vault.pseudonyms('ben@a.example')).not.toContain(first);
    expect(
      createVault({ keys: [newKey(current.id)], activeKeyId: current.id }).pseudonyms('anna@a.example'),
    ).not.toContain(first);
  });

  test('hashes are HMAC-SHA-256 under a key made of that of the ring, whatever the length', () => {
    const vault = createVault({ keys: [current], activeKeyId: current.id });
    const bytes = Buffer.from(current.key.reveal(), 'base64');
    const key = Buffer.from(hkdfSync('sha256', bytes, '', 'zoom-steward pseudonyms v1', 32));
    for (const text of [
      '',
      'anna@a.example',
      'é@a.example',
      '😀@a.example',
      '\ud83d@a.example',
      ...[319, 320, 321].map((n) => '€'.repeat(n)),
    ])
      expect(vault.pseudonyms(text)).toEqual([
        `#${current.id}.${createHmac('sha256', key).update(text).digest('base64url')}`,
      ]);
  });
});
