import { sql } from 'kysely';
import type { Database } from '../../../src/db/database.ts';
import { eventTypeRows } from './event-type-rows.ts';
import { insertRows, type Row } from './insert-rows.ts';
import { accountOf, organizationOf } from './world-ids.ts';
import { factRows, type NamedWorld, noiseRows, type PlayedWorld, storedFacts, type WalkTimes } from './world-rows.ts';

type TableRows = Readonly<Record<string, readonly Row[]>>;

/** Writes many worlds into one database, each as an organization of its own, a statement a table. */
export async function writeWorlds(db: Database, worlds: readonly PlayedWorld[], times: WalkTimes): Promise<void> {
  await insertTables(
    db,
    worlds.flatMap((world) => [factRows(world, times), noiseRows(world, times)]),
  );
  await insertTables(
    db,
    worlds.map((world) => ({ 'steward.member_facts': storedFacts(world, times) })),
  );
  await insertTables(
    db,
    worlds.map((world) => eventTypeRows(world, times)),
  );
}

/**
 * Replaces what is true of the organizations, and leaves what the worker wrote: stored facts and results,
 * locations, archives, flags.
 */
export async function rewriteFacts(db: Database, worlds: readonly NamedWorld[], times: WalkTimes): Promise<void> {
  const rows = worlds.map((world) => factRows(world, times));
  const organizations = worlds.map(({ key }) => organizationOf(key));
  const accounts = worlds.flatMap(({ key, world }) =>
    world.connection?.zoomAccountId ? [accountOf(key, world.connection.zoomAccountId)] : [],
  );
  const whose = (table: string) => {
    if (table === 'steward_app.organizations') return sql`id = any(${organizations})`;
    if (table === 'steward.grants')
      return sql`id not in (select grant_id from steward.personal_connections where grant_id is not null)`;
    if (table.startsWith('steward.director')) return sql`zoom_account_id = any(${accounts})`;
    return sql`organization_id = any(${organizations})`;
  };
  // Grants stand before the connections that point to them, so the other way round here.
  for (const table of Object.keys(rows[0] ?? {}).reverse())
    await sql`delete from ${sql.table(table)} where ${whose(table)}`.execute(db);
  await insertTables(db, rows);
}

async function insertTables(db: Database, worlds: readonly TableRows[]): Promise<void> {
  const tables = new Map<string, Row[]>();
  for (const world of worlds)
    for (const [table, rows] of Object.entries(world)) {
      const all = tables.get(table) ?? [];
      for (const row of rows) all.push(row);
      tables.set(table, all);
    }
  for (const [table, rows] of tables) {
    if (table === 'steward.directory_users') await insertDirectoryUsers(db, rows);
    else if (table === 'steward.directory_lookups') await insertLookups(db, rows);
    else for (const group of sameShape(rows)) await insertRows(db, table, group);
  }
}

function sameShape(rows: readonly Row[]): Row[][] {
  const shapes = new Map<string, Row[]>();
  for (const row of rows) {
    const shape = Object.keys(row).join();
    const group = shapes.get(shape);
    if (group) group.push(row);
    else shapes.set(shape, [row]);
  }
  return [...shapes.values()];
}

async function insertDirectoryUsers(db: Database, rows: readonly Row[]): Promise<void> {
  await sql`
    insert into steward.directory_users (zoom_account_id, user_key, zoom_user_id, address_key, status, user_type, seen_at, duplicate)
    select zoom_account_id, coalesce(zoom_user_id, 'pending:' || steward.address_key(email)), zoom_user_id, steward.address_key(email), status,
           user_type, steward.now(), count(*) over (partition by zoom_account_id, steward.address_key(email)) > 1
      from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb)
           as x (zoom_account_id text, zoom_user_id text, email text, status text, user_type smallint)`.execute(db);
}

async function insertLookups(db: Database, rows: readonly Row[]): Promise<void> {
  await sql`
    insert into steward.directory_lookups (zoom_account_id, address_key, looked_up_at)
    select distinct on (1, 2) zoom_account_id, steward.address_key(email), looked_up_at
      from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as x (zoom_account_id text, email text, looked_up_at timestamptz)`.execute(
    db,
  );
}
