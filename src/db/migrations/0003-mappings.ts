import type { Kysely } from 'kysely';
import { sql } from 'kysely';
import { createTable, type TableSpec } from './table.ts';

const table: TableSpec = {
  name: 'steward.domain_equivalences',
  comment:
    'Domains whose addresses mean the same people in an organization: anna@domain may be the Zoom user anna@same_as, and the other way round.',
  columns: {
    organization_id: ['uuid not null', 'The organization.'],
    domain: ['text not null', 'Domain as in address keys; the smaller of the two.'],
    same_as: ['text not null check (domain < same_as)', 'The other one.'],
    actor: ['text not null', 'Who said so.'],
    created_at: ['timestamptz not null', 'When.'],
  },
  constraints: ['primary key (organization_id, domain, same_as)'],
};

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of createTable(table)) await sql.raw(statement).execute(db);
  await sql`
    alter table steward.zoom_user_mappings
      add column origin text not null default 'person' check (origin in ('person', 'domain'))`.execute(db);
  await sql`
    comment on column steward.zoom_user_mappings.origin is
      'person: an owner or operator made it; domain: follows from an equivalence of domains, and goes with it.'`.execute(
    db,
  );
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`alter table steward.zoom_user_mappings drop column origin`.execute(db);
  await sql`drop table steward.domain_equivalences cascade`.execute(db);
}
