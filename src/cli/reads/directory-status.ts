import { sql } from 'kysely';
import { type AccountLimits, limitsOf } from '../../connections/account-limits.ts';
import { findWalkFacts } from '../../connections/account-limits-repository.ts';
import type { Database } from '../../db/database.ts';
import { StewardError } from '../../errors.ts';
import { findOrganization } from '../find-organization.ts';

export type DirectoryStatus = {
  readonly zoomAccountId: string;
  readonly users: number;
  readonly syncedAt: Date | null;
  /** a walk is under way: what it lists */
  readonly walking: string | null;
  /** until when walks wait, and for what */
  readonly waits: { readonly for: 'daily_limit' | 'zoom'; readonly until: Date } | null;
  /** medium calls that Zoom allows, as we work with them */
  readonly limits: AccountLimits;
  readonly learnedAt: Date | null;
  readonly stated: { readonly actor: string; readonly reason: string; readonly at: string } | null;
  /** calls of walks since 00:00 UTC */
  readonly callsToday: number;
};

/**
 * The Zoom account of that id, or of that organization's connection.
 * @throws StewardError `zoom_account_not_found`
 */
export async function findZoomAccount(db: Database, text: string): Promise<string> {
  const { rows } = await sql<{ id: string }>`
    select zoom_account_id as id from steward.directories where zoom_account_id = ${text}
    union select zoom_account_id from steward.grants where zoom_account_id = ${text}`.execute(db);
  if (rows[0]) return rows[0].id;
  const organization = await findOrganization(db, text);
  const connection = await db
    .selectFrom('steward.org_connections')
    .select('zoom_account_id')
    .where('organization_id', '=', organization.id)
    .where('zoom_account_id', 'is not', null)
    .executeTakeFirst();
  if (connection?.zoom_account_id) return connection.zoom_account_id;
  throw new StewardError(
    'zoom_account_not_found',
    `Expected a Zoom account that we know, or an organization that is connected to one; ${organization.name} is not.`,
  );
}

/** How the copy of an account's users stands, at which pace it is walked and why; null: nobody has walked it. */
export async function readDirectoryStatus(db: Database, zoomAccountId: string): Promise<DirectoryStatus | null> {
  const facts = await findWalkFacts(db, zoomAccountId);
  if (!facts) return null;
  const { rows } = await sql<Pick<DirectoryStatus, 'syncedAt' | 'walking' | 'waits' | 'learnedAt' | 'stated'>>`
    select synced_at as "syncedAt", walk_status as walking, limits_learned_at as "learnedAt", stated_limits as stated,
           (select jsonb_build_object('for', reason, 'until', until)
              from (values ('daily_limit', walk_resumes_at), ('zoom', blocked_until)) w (reason, until)
             where until > steward.now() order by until desc limit 1) as waits
      from steward.directories where zoom_account_id = ${zoomAccountId}`.execute(db);
  const [row] = rows;
  return row
    ? { zoomAccountId, users: facts.users, callsToday: facts.callsToday, limits: limitsOf(facts), ...row }
    : null;
}

const sources: Readonly<Record<AccountLimits['from'], string>> = {
  stated: 'as an operator said',
  headers: 'as Zoom says',
  refusal: 'since Zoom refused a call',
  assumed: "Pro's, until Zoom says otherwise",
};

/** One line about a limit, e.g. "60 a second, as Zoom says". */
export function describeLimits({ limits, stated }: DirectoryStatus): string {
  const day = limits.perDay === null ? '' : `, ${limits.perDay} a day`;
  const who = limits.from === 'stated' && stated ? ` (${stated.actor}, ${stated.at}: ${stated.reason})` : '';
  return `${limits.perSecond} a second${day}, ${sources[limits.from]}${who}`;
}

/** For what walks wait; null: for nothing. */
export function describeWait({ waits }: DirectoryStatus): string | null {
  if (!waits) return null;
  const until = new Date(waits.until).toISOString();
  return waits.for === 'daily_limit' ? `waits for Zoom's daily limit until ${until}` : `blocked by Zoom until ${until}`;
}
