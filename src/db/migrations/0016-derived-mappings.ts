import type { Kysely } from 'kysely';
import { sql } from 'kysely';

/** By which pair of domains a mapping of origin `domain` was made: it goes with the pair, whatever the addresses are by then. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    alter table steward.zoom_user_mappings
      add column domain text,
      add column same_as text,
      add constraint zoom_user_mappings_pair check ((origin = 'domain') = (domain is not null) and (domain is null) = (same_as is null)),
      add constraint zoom_user_mappings_equivalence foreign key (organization_id, domain, same_as)
        references steward.domain_equivalences (organization_id, domain, same_as) on delete cascade`.execute(db);
  await sql`
    comment on column steward.zoom_user_mappings.domain is
      'Of origin domain: the pair it follows from, as in domain_equivalences.'`.execute(db);
  await sql`comment on column steward.zoom_user_mappings.same_as is 'The other domain of the pair.'`.execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`alter table steward.zoom_user_mappings drop column domain, drop column same_as`.execute(db);
}
