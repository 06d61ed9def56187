import { domainToASCII, domainToUnicode } from 'node:url';
import { sql } from 'kysely';
import { expect, test } from 'vitest';
import { hashAddresses } from '../../src/connections/address-forms.ts';
import type { Database } from '../../src/db/database.ts';
import type { Vault } from '../../src/grants/vault.ts';
import { useDatabase } from '../support/database.ts';

const database = useDatabase({ max: 2 });

async function keysOf(addresses: readonly (string | null)[]): Promise<(string | null)[]> {
  const { rows } = await sql<{ key: string | null }>`
    select steward.address_key(address) as key from unnest(${addresses}::text[]) with ordinality as a (address, place) order by place`.execute(
    database.db,
  );
  return rows.map(({ key }) => key);
}

test.each([
  ['trims white space of every kind', ' \t\u00a0Ada@Example.COM\u2003\ufeff\n', 'ada@example.com'],
  ['folds A to Z in the local part, and nothing else', 'İÜß.ADA@x.example', 'İÜß.ada@x.example'],
  ['composes: a letter and its combining accent are one', 'e\u0301va@x.example', '\u00e9va@x.example'],
  ['keeps what composition does not touch', 'q\u0301@x.example', 'q\u0301@x.example'],
  ['puts the domain into ASCII', 'a@ünïcode.example', 'a@xn--ncode-cta3g.example'],
  ['whatever case it is typed in', 'A@ÜNÏCODE.EXAMPLE', 'a@xn--ncode-cta3g.example'],
  ['and with combining characters', 'a@u\u0308ni\u0308code.example', 'a@xn--ncode-cta3g.example'],
  ['a domain that is in ASCII already', 'a@XN--ncode-CTA3G.example', 'a@xn--ncode-cta3g.example'],
  ['ß stays ß in a domain', 'a@faß.example', 'a@xn--fa-hia.example'],
  ['ẞ is a capital ß there', 'a@FAẞ.example', 'a@xn--fa-hia.example'],
  ['İ becomes i with a dot above there', 'a@İ.example', 'a@xn--i-9bb.example'],
  ['the ideographic full stop is a dot', 'a@例え。テスト', 'a@xn--r8jz45g.xn--zckzah'],
  ['full-width letters are letters', 'a@ｅｘａｍｐｌｅ．com', 'a@example.com'],
  ['the domain follows the last @', '"a@b"@X.example', '"a@b"@x.example'],
  ['several @, none of them quoted', 'A@B@Ü.example', 'a@b@xn--tda.example'],
  ['no @: all of it is local part', 'Üser', 'Üser'],
  ['no domain', 'é@', 'é@'],
])('%s', async (_, address, key) => {
  expect(await keysOf([address])).toEqual([key]);
});

test('addresses in plain ASCII get the same keys in the process as in the database, and those in none of it', async () => {
  const vault = { pseudonyms: (text: string) => [`#${text}`] } as unknown as Vault;
  const ofProcess = async (db: Database, addresses: readonly (string | null)[]) =>
    (await hashAddresses(db, vault, addresses)).map(({ key }) => key);
  const printable = Array.from({ length: 0x7f - 0x20 }, (_, n) => String.fromCharCode(0x20 + n));
  const plain = [...printable.flatMap((c) => [c, `${c}A@B.example${c}`, `A${c}b@X.example`]), '', '  ', null];
  const nowhere = null as unknown as Database;
  expect(await ofProcess(nowhere, plain)).toEqual(await keysOf(plain));
  const others = [
    '\tA@B.example\v',
    'a@b.example\u007f',
    '\u001fa@b.example',
    'Ü@Ü.example',
    '\u00a0',
    'A@b.example',
    null,
    'é@x',
  ];
  expect(await ofProcess(database.db, others)).toEqual(await keysOf(others));
  expect(await hashAddresses(nowhere, vault, ['A@b.example', null])).toEqual([
    { key: 'a@b.example', hash: '#a@b.example' },
    { key: null, hash: null },
  ]);
});

test('nothing has no key', async () => {
  expect(await keysOf([null, '', '  ', '\u00a0'])).toEqual([null, null, null, null]);
});

test('the characters of a domain are mapped as the URL standard maps them', async () => {
  const characters: string[] = [];
  const expected: string[] = [];
  for (let code = 0xa1; code < 0x1_f000; code++) {
    if (code >= 0xd800 && code < 0xe000) continue;
    const character = String.fromCodePoint(code);
    const domain = domainToASCII(`x${character}x.example`);
    // Refused by the standard, or a final sigma of mathematics: any key will do.
    if (domain === '' || /[\u{1d6d3}\u{1d70d}\u{1d747}\u{1d781}\u{1d7bb}]/u.test(character)) continue;
    // All that are mapped to something else, and a sample of those that stay.
    if (domainToUnicode(domain) === `x${character}x.example` && code % 61 !== 0) continue;
    characters.push(`a@x${character}x.example`);
    expected.push(`a@${domain}`);
  }
  const keys = await keysOf(characters);
  // The database may know an older Unicode than Node does.
  const { rows } = await sql<{ known: boolean }>`
    select unicode_assigned(c) as known from unnest(${characters}::text[]) with ordinality as x (c, place) order by place`.execute(
    database.db,
  );
  const different = characters.filter((_, index) => rows[index]?.known && keys[index] !== expected[index]);
  expect(characters.length).toBeGreaterThan(5_000);
  expect(different).toEqual([]);
});

test('the answer does not hang on the locale', async () => {
  const { rows } = await sql<{ collation: string }>`
    select quote_ident(collname) as collation from pg_collation
     where collnamespace = 'pg_catalog'::regnamespace and collname in ('C', 'tr-x-icu', 'lt-x-icu', 'und-x-icu', 'pg_c_utf8')`.execute(
    database.db,
  );
  expect(rows.length).toBeGreaterThan(1);
  for (const { collation } of rows) {
    const answer = await sql<{ key: string }>`
      select steward.address_key('IŞIK.İI@ILIK.example' collate ${sql.raw(collation)}) as key`.execute(database.db);
    expect(answer.rows[0]?.key).toBe('iŞik.İi@ilik.example');
    const plain = await sql<{ key: string }>`
      select steward.address_key('IRIS@ILIK.example' collate ${sql.raw(collation)}) as key`.execute(database.db);
    expect(plain.rows[0]?.key).toBe('iris@ilik.example');
  }
});

test('the planner inlines it, so that the index on members serves it', async () => {
  const { rows } = await sql<{ 'QUERY PLAN': string }>`
    explain (verbose, costs off) select steward.address_key(email) from steward_app.members`.execute(database.db);
  expect(rows.map((row) => row['QUERY PLAN']).join('\n')).not.toContain('steward.address_key(');
});
