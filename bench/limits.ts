import { sql } from 'kysely';
import type { Database } from '../src/db/database.ts';

const seconds = async (work: () => Promise<unknown>): Promise<number> => {
  const started = performance.now();
  await work();
  return (performance.now() - started) / 1000;
};

/**
 * The floor of a fan-out: one bare `insert … select` a table that writes the same rows as the run did, into
 * tables with the same columns, keys and indexes, from the rows themselves – nothing is decided.
 */
export async function bareFanout(db: Database): Promise<number> {
  for (const table of ['member_facts', 'member_connections']) {
    await sql
      .raw(`drop table if exists bench_${table}; create table bench_${table} (like steward.${table} including all)`)
      .execute(db);
  }
  const took = await seconds(async () => {
    await sql`insert into bench_member_facts select * from steward.member_facts`.execute(db);
    await sql`insert into bench_member_connections select * from steward.member_connections`.execute(db);
  });
  await sql`drop table bench_member_facts, bench_member_connections`.execute(db);
  return took;
}

/** The floor of a cascade: one bare statement that deletes the same locations and copies the rows away. Rolled back. */
export async function bareCascade(db: Database, organizationId: string): Promise<number> {
  let took = 0;
  await db
    .transaction()
    .execute(async (trx) => {
      await sql`create temp table bench_copies (event_type_id uuid, content jsonb) on commit drop`.execute(trx);
      took = await seconds(() =>
        sql`with gone as (
              delete from steward_app.locations l where l.organization_id = ${organizationId} and l.kind = 'zoom_conference' returning l.*)
            insert into bench_copies select event_type_id, to_jsonb(gone) from gone`.execute(trx),
      );
      throw new RollBack();
    })
    .catch((error: unknown) => {
      if (!(error instanceof RollBack)) throw error;
    });
  return took;
}

class RollBack extends Error {}

/** The floor of a plan without drift: one scan of the tables it must read. Second of two runs: both sides are warm. */
export async function scanAll(db: Database, organizationId: string, accountId: string): Promise<number> {
  const scan = () =>
    sql`select (select count(m.email) from steward_app.members m where organization_id = ${organizationId}),
               (select count(p.state) from steward_app.personal_connections p where organization_id = ${organizationId}),
               (select count(f.match) from steward.member_facts f where organization_id = ${organizationId}),
               (select count(c.hosting) from steward.member_connections c where organization_id = ${organizationId}),
               (select count(u.address_key) from steward.directory_users u where zoom_account_id = ${accountId})`.execute(
      db,
    );
  await scan();
  return seconds(scan);
}

export { seconds };
