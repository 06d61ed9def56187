import type { Kysely } from 'kysely';
import { sql } from 'kysely';

const reasons = [
  ...['revoked', 'user_removed', 'app_uninstalled', 'grant_expired'],
  ...['refresh_lost', 'key_lost', 'app_changed', 'restored'],
];
const check = (names: readonly string[]): string =>
  `alter table steward.grants drop constraint grants_dead_reason_check,
   add constraint grants_dead_reason_check check (dead_reason in (${names.map((name) => `'${name}'`).join(', ')}))`;

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql.raw('alter table steward.grants add column unproven boolean not null default false').execute(db);
  await sql
    .raw(
      `comment on column steward.grants.unproven is 'Imported, and Zoom has not said yet that the pair is of the person it was filed under: not used for meetings.'`,
    )
    .execute(db);
  await sql.raw(check([...reasons, 'import_refused'])).execute(db);
  await sql
    .raw(`comment on column steward.grants.dead_reason is 'Why it is dead; the last five are our own making.'`)
    .execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`update steward.grants set dead_reason = 'restored' where dead_reason = 'import_refused'`.execute(db);
  await sql.raw(check(reasons)).execute(db);
  await sql.raw('alter table steward.grants drop column unproven').execute(db);
}
