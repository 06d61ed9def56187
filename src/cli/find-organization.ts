import { sql } from 'kysely';
import type { Database } from '../db/database.ts';
import { StewardError } from '../errors.ts';
import { isUuid } from './is-uuid.ts';

export type FoundOrganization = { readonly id: string; readonly name: string };

const shown = 5;

/** A few that there are: enough on a machine where one tries things, a hint elsewhere. */
async function someOf(db: Database): Promise<string> {
  const { rows } = await sql<{ name: string }>`
    select name from steward_app.organizations order by id limit ${shown + 1}`.execute(db);
  if (rows.length === 0) return 'the main app has no organization yet';
  const names = rows.slice(0, shown).map((row) => `"${row.name}"`);
  return `there ${rows.length === 1 ? 'is' : 'are'} ${names.join(', ')}${rows.length > shown ? ' and more' : ''}`;
}

/**
 * The organization that somebody typed: its id, or its name if only one has it (capitals do not matter). One whose row
 * is gone is found by its id as long as a connection of ours is left.
 */
export async function findOrganization(db: Database, typed: string): Promise<FoundOrganization> {
  const { rows } = isUuid(typed)
    ? await sql<FoundOrganization>`
        select asked.id::text, coalesce(o.name, '(gone from the main app)') as name
          from (values (${typed}::uuid)) as asked (id)
          left join steward_app.organizations o on o.id = asked.id
         where o.id is not null or exists (select from steward.org_connections c where c.organization_id = asked.id)`.execute(
        db,
      )
    : await sql<FoundOrganization>`
        select id::text, name from steward_app.organizations where lower(name) = lower(${typed})
         order by 1 limit ${shown + 1}`.execute(db);
  const [only, second] = rows;
  if (!only)
    throw new StewardError(
      'organization_not_found',
      `Expected the id or name of an organization, got "${typed}", which none has; ${await someOf(db)}.`,
    );
  if (second)
    throw new StewardError(
      'organization_ambiguous',
      `Expected one organization, got "${typed}", which ${rows.length > shown ? `more than ${shown}` : rows.length} have; use an id: ${rows
        .slice(0, shown)
        .map((row) => row.id)
        .join(', ')}.`,
    );
  return only;
}
