import { sql } from 'kysely';
import { expect, test } from 'vitest';
import { findMiddle, type Sample } from '../../src/reconciliation/find-middle.ts';
import { firstKey } from '../../src/reconciliation/key-range.ts';
import { useDatabase } from '../support/database.ts';
import { fillOrganization } from './support/fill-organization.ts';

const database = useDatabase();

const keys = { table: 'steward_app.members', column: 'id' };

/** The share of an organization's members whose ids are not above this. */
async function placeOf(organizationId: string, id: string | null): Promise<number> {
  const { rows } = await sql<{ place: number }>`
    select (count(*) filter (where id <= ${id}::uuid))::float8 / count(*) as place
      from steward_app.members where organization_id = ${organizationId}`.execute(database.db);
  return (rows[0] as { place: number }).place;
}

const middleOf = (organizationId: string, sample: Sample | undefined, least = 100, after = firstKey) =>
  database.db
    .transaction()
    .execute((trx) => findMiddle(trx, keys, { organizationId, after, left: null, least, ...(sample && { sample }) }));

test('the middle of a large table is that of a sample, of a small share or of few rows the very middle', async () => {
  const small = await fillOrganization(database.db, 101);
  const large = await fillOrganization(database.db, 6_000);
  const sample = { pages: 20, keys: 300 };
  const middle = await middleOf(large.organizationId, sample);
  const place = await placeOf(large.organizationId, middle);
  expect(place).toBeGreaterThan(0.4);
  expect(place).toBeLessThan(0.6);
  // Behind it, the next.
  const next = await placeOf(large.organizationId, await middleOf(large.organizationId, sample, 100, middle as string));
  expect(next).toBeGreaterThan(0.65);
  expect(next).toBeLessThan(0.85);
  expect(await middleOf(large.organizationId, sample, 20_000)).toBeNull();

  for (const asked of [sample, undefined]) {
    expect(await placeOf(small.organizationId, await middleOf(small.organizationId, asked))).toBeCloseTo(51 / 101, 5);
    expect(await middleOf(small.organizationId, asked, 102)).toBeNull();
  }
  expect(await placeOf(large.organizationId, await middleOf(large.organizationId, undefined))).toBeCloseTo(0.5, 3);
});
