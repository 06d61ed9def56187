import { randomUUID } from 'node:crypto';
import { type Kysely, sql, type Transaction } from 'kysely';
import type { DB } from '../db/schema.ts';

/** Zoom lists users by status, one at a time. */
export const walkStatuses = ['active', 'inactive', 'pending'] as const;
export type WalkStatus = (typeof walkStatuses)[number];

/** What a walk does next: list users of a status, or swap what it has staged. */
export type WalkStage = WalkStatus | 'complete';

/** The lease of a walk: long enough for one page with Zoom's slowest answer. */
const leaseSeconds = 120;
/** Zoom's page tokens live 15 minutes; ours are given up before, the lease included. */
const pageTokenMinutes = 12;

/** Where a walk stands. Its place – status and page token – is what a writer must have seen to move it. */
export type Walk = {
  readonly zoomAccountId: string;
  readonly walkId: string;
  readonly status: WalkStage;
  readonly pageToken: string | null;
};

export type Claimed =
  | { readonly kind: 'walk'; readonly walk: Walk }
  | { readonly kind: 'busy' }
  | { readonly kind: 'blocked'; readonly retryInMs: number }
  /** our share of the day's calls is used */
  | { readonly kind: 'daily_limit'; readonly retryInMs: number };

/**
 * Takes the walk of an account: the one that was left, at its page – from its beginning if the page token is too old
 * –, else a new one. One walk an account: while somebody holds the lease, nobody else gets it.
 */
export async function claimWalk(db: Kysely<DB>, zoomAccountId: string): Promise<Claimed> {
  await sql`insert into steward.directories (zoom_account_id) values (${zoomAccountId}) on conflict do nothing`.execute(
    db,
  );
  const resumes = sql`(d.walk_id is not null and walk_status is not null
    and walk_lease_until > steward.now() - ${pageTokenMinutes} * interval '1 minute')`;
  const rows = await db.transaction().execute(async (trx) => {
    const claimed = await sql<Omit<Walk, 'zoomAccountId'> & { before: string | null }>`
      update steward.directories d
         set walk_id = case when ${resumes} then d.walk_id else ${randomUUID()} end,
             walk_status = case when ${resumes} then walk_status else 'active' end,
             walk_page_token = case when ${resumes} then walk_page_token end,
             walk_started_at = case when ${resumes} then walk_started_at else steward.now() end,
             walk_lease_until = steward.now() + ${leaseSeconds} * interval '1 second'
        from (select walk_id as before from steward.directories where zoom_account_id = ${zoomAccountId} for update) was
       where zoom_account_id = ${zoomAccountId}
         and coalesce(walk_lease_until <= steward.now(), true) and coalesce(blocked_until <= steward.now(), true)
         and coalesce(walk_resumes_at <= steward.now(), true)
      returning d.walk_id as "walkId", walk_status as status, walk_page_token as "pageToken", was.before`.execute(trx);
    const [{ walkId, before } = { walkId: null, before: null }] = claimed.rows;
    // Whose page token was too old: nobody goes on with it, and addresses of strangers are not kept.
    if (before !== null && before !== walkId)
      await sql`delete from steward.directory_staging where walk_id = ${before}`.execute(trx);
    return claimed.rows.map(({ walkId, status, pageToken }) => ({ walkId, status, pageToken }));
  });
  const [row] = rows;
  if (row) return { kind: 'walk', walk: { zoomAccountId, ...row } };
  const { rows: waits } = await sql<{ kind: 'blocked' | 'daily_limit'; ms: number }>`
    select kind, (extract(epoch from until - steward.now()) * 1000)::float8 as ms
      from steward.directories, lateral (values ('blocked', blocked_until), ('daily_limit', walk_resumes_at)) w (kind, until)
     where zoom_account_id = ${zoomAccountId} and until > steward.now() order by until desc limit 1`.execute(db);
  return waits[0] ? { kind: waits[0].kind, retryInMs: Math.ceil(waits[0].ms) } : { kind: 'busy' };
}

/** Counts calls of a walk on their UTC day. */
const counted = (calls: number) => sql`
  walk_asked_at = steward.now(), walk_day = date_trunc('day', steward.now(), 'UTC'),
  walk_calls = ${calls}::int + case when walk_day = date_trunc('day', steward.now(), 'UTC') then walk_calls else 0 end`;

/** A user of a page as it is staged; pending ones have no id. */
export type StagedUser = {
  readonly id: string | null;
  readonly type: number | null;
  /** of the address, with its keyed hash */
  readonly key: string | null;
  readonly hash: string | null;
};

const toEscape = /["\\]/g;

/** An array as Postgres reads one: `pg` makes the same text at ten times the cost, most of a page's in this process. */
const textArray = (values: readonly (string | null)[]): string =>
  `{${values.map((value) => (value === null ? 'NULL' : `"${value.search(toEscape) < 0 ? value : value.replace(toEscape, '\\$&')}"`)).join()}}`;

/**
 * Stages a page and moves the walk to its next place, in one transaction, if the walk still stands where this page was
 * asked for: of two that fetched the same page, one moves on. Renews the lease, counts the calls since the page before.
 * @returns calls of walks of this account today; null: the walk did not move
 */
export async function stagePage(
  db: Kysely<DB>,
  { zoomAccountId, walkId, status, pageToken }: Walk,
  users: readonly StagedUser[],
  next: Pick<Walk, 'status' | 'pageToken'>,
  calls: number,
): Promise<number | null> {
  const { rows } = await sql<{ calls: number | null }>`
    select steward.stage_directory_page(${zoomAccountId}, ${walkId}, ${status}, ${pageToken}, ${next.status}, ${next.pageToken},
             ${leaseSeconds} * interval '1 second', ${calls}, ${textArray(users.map(({ id }) => id))}::text[], ${textArray(users.map(({ key }) => key))}::text[],
             ${textArray(users.map(({ hash }) => hash))}::text[], ${`{${users.map(({ type }) => type ?? 'NULL').join()}}`}::smallint[]) as calls`.execute(
    db,
  );
  return rows[0]?.calls ?? null;
}

/** Counts calls that no page came of. */
export async function countCalls(db: Kysely<DB>, zoomAccountId: string, calls: number): Promise<void> {
  if (calls > 0)
    await sql`update steward.directories set ${counted(calls)} where zoom_account_id = ${zoomAccountId}`.execute(db);
}

/** A little after 00:00 UTC, by Zoom's clock and ours. */
const newDaySeconds = 60;

/**
 * Lets the walks of an account wait for the next UTC day. Page tokens do not live that long, so the walk begins anew then;
 * until it does, nobody is told to wait for it. Holds walks only: `blocked_until` is Zoom's own limit.
 */
export async function waitForNextDay(
  trx: Transaction<DB>,
  walk: Pick<Walk, 'zoomAccountId' | 'walkId'>,
): Promise<number> {
  await dropWalk(trx, walk);
  const { rows } = await sql<{ ms: number }>`
    update steward.directories
       set walk_resumes_at = date_trunc('day', steward.now(), 'UTC') + interval '1 day' + ${newDaySeconds} * interval '1 second'
     where zoom_account_id = ${walk.zoomAccountId}
    returning (extract(epoch from walk_resumes_at - steward.now()) * 1000)::float8 as ms`.execute(trx);
  return Math.ceil(rows[0]?.ms ?? 0);
}

/** Lets go of the lease, so that the next slice can go on at once; the place is kept. */
export async function yieldWalk(db: Kysely<DB>, walk: Pick<Walk, 'zoomAccountId' | 'walkId'>): Promise<void> {
  await sql`
    update steward.directories set walk_lease_until = steward.now()
     where zoom_account_id = ${walk.zoomAccountId} and walk_id = ${walk.walkId} and walk_lease_until > steward.now()`.execute(
    db,
  );
}

/** Honours Zoom's limit for everybody: no call for this account before. */
export async function blockDirectory(db: Kysely<DB>, zoomAccountId: string, forMs: number): Promise<void> {
  await sql`
    update steward.directories
       set blocked_until = greatest(coalesce(blocked_until, '-infinity'), steward.now() + ${forMs} * interval '1 millisecond'),
           walk_lease_until = least(walk_lease_until, steward.now())
     where zoom_account_id = ${zoomAccountId}`.execute(db);
}

/** Gives a walk up and forgets what it staged; the next one begins anew. */
export async function dropWalk(trx: Transaction<DB>, walk: Pick<Walk, 'zoomAccountId' | 'walkId'>): Promise<void> {
  await sql`
    update steward.directories set walk_id = null, walk_status = null, walk_page_token = null, walk_started_at = null, walk_lease_until = null
     where zoom_account_id = ${walk.zoomAccountId} and walk_id = ${walk.walkId}`.execute(trx);
  await sql`delete from steward.directory_staging where walk_id = ${walk.walkId}`.execute(trx);
}
