import { sql } from 'kysely';
import type { Database } from '../../db/database.ts';
import type { FoundOrganization } from '../find-organization.ts';

const pageSize = 500;

/** Every organization with members or a connection, in the order of ids, also those gone from the main app. */
export async function* eachOrganization(db: Database): AsyncGenerator<FoundOrganization> {
  for (let after = '00000000-0000-0000-0000-000000000000'; ; ) {
    const { rows } = await sql<FoundOrganization>`
      select id, max(name) as name from (
        (select id, name from steward_app.organizations where id > ${after}::uuid order by id limit ${pageSize})
        union all
        (select organization_id, '(gone from the main app)' from steward.org_connections c
          where organization_id > ${after}::uuid and not exists (select from steward_app.organizations o where o.id = c.organization_id)
          order by organization_id limit ${pageSize})) o
      group by id order by id limit ${pageSize}`.execute(db);
    yield* rows;
    const last = rows.at(-1);
    if (!last || rows.length < pageSize) return;
    after = last.id;
  }
}
