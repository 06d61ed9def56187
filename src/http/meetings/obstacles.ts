import { sql } from 'kysely';
import type { Database } from '../../db/database.ts';
import type { Door } from './door.ts';
import { inSeconds, refuseMeeting } from './refuse.ts';

export type Act = 'create' | 'update' | 'delete';
/** Handing out a token is no try: what it comes to is not learned. */
type Options = { readonly tries?: boolean };

/** Refusals in a row by which Zoom says that calls of this grant cannot work: then nothing is sent for a while. */
const breakerAfter = 3;
const breakerMs = 30_000;
const longestBreakerMs = 10 * 60_000;
/** Failures further apart are no row. */
const forgetMinutes = 15;
/** One call tries whether it works again; others wait so long for what it finds. */
const probeMs = 10_000;
/** A shorter block is the directory walk's to wait for: interactive calls are not held up by it. */
const shortBlockMs = 2_000;

type Obstacles = {
  readonly hostReason: 'daily_limit' | 'cannot_host' | null;
  readonly hostMs: number | null;
  readonly zoomCode: number | null;
  readonly failures: number;
  /** refusals are on record, of older tokens perhaps */
  readonly refused: boolean;
  /** imported, and nobody has asked Zoom yet whose it is */
  readonly unproven: boolean;
  readonly breakerReason: string | null;
  /** not above 0: one caller may try */
  readonly breakerMs: number;
  readonly accountMs: number;
};

/** Refuses what Zoom would refuse, without asking it: all that was remembered, in one look. `refused`: refusals are on record. */
export async function passObstacles(
  db: Database,
  door: Door,
  act: Act,
  { tries = true }: Options = {},
): Promise<Pick<Obstacles, 'refused' | 'unproven'>> {
  const { rows } = await sql<Obstacles>`
    select h.reason as "hostReason", extract(epoch from h.until - steward.now())::float8 * 1000 as "hostMs", h.zoom_code as "zoomCode",
           coalesce(b.failures, 0) as failures, coalesce(g.unproven, false) as unproven, exists (select from steward.call_breakers where grant_id = a.grant_id) as refused, b.reason as "breakerReason",
           coalesce(extract(epoch from b.open_until - steward.now())::float8 * 1000, 0) as "breakerMs",
           coalesce(extract(epoch from d.blocked_until - steward.now())::float8 * 1000, 0) as "accountMs"
      from (select ${door.zoomAccountId} as account, ${door.zoomUserId} as host, ${door.grantId}::uuid as grant_id) a
      left join steward.host_blocks h on h.zoom_account_id = a.account and h.zoom_user_id = a.host and h.until > steward.now()
      left join steward.grants g on g.id = a.grant_id
      left join steward.call_breakers b on b.grant_id = a.grant_id and b.version = g.version
      left join steward.directories d on d.zoom_account_id = a.account`.execute(db);
  const {
    hostReason,
    hostMs,
    zoomCode,
    failures,
    refused,
    unproven,
    breakerReason,
    breakerMs: openMs,
    accountMs,
  } = rows[0] as Obstacles;
  if (hostReason === 'daily_limit' && act !== 'delete')
    throw refuseMeeting('host_daily_limit', { retryAfterSeconds: inSeconds(hostMs ?? 0) });
  if (hostReason === 'cannot_host' && act === 'create')
    throw refuseMeeting('cannot_host', { zoomCode, retryAfterSeconds: inSeconds(hostMs ?? 0) });
  if (accountMs > shortBlockMs)
    throw refuseMeeting('temporarily_unavailable', {
      because: 'rate_limited',
      retryAfterSeconds: inSeconds(accountMs),
    });
  if (failures >= breakerAfter && (openMs > 0 || (tries && !(await mayProbe(db, door.grantId)))))
    throw refuseMeeting(refusalWhileOpen(breakerReason ?? ''), {
      because: breakerReason,
      retryAfterSeconds: inSeconds(Math.max(openMs, 0)),
    });
  return { refused, unproven };
}

/** What Zoom refuses for want of permission is an interruption; tokens and our application are not the customer's. */
export const refusalWhileOpen = (reason: string): 'interrupted' | 'temporarily_unavailable' =>
  reason === 'missing_permission' || reason === 'missing_scope' ? 'interrupted' : 'temporarily_unavailable';

async function mayProbe(db: Database, grantId: string): Promise<boolean> {
  const { numAffectedRows } = await sql`
    update steward.call_breakers set open_until = steward.now() + ${probeMs} * interval '1 millisecond'
     where grant_id = ${grantId} and open_until <= steward.now()`.execute(db);
  return numAffectedRows === 1n;
}

/**
 * Counts a refusal that concerns every call of the grant: Zoom disables apps whose share of failing calls is high. One for
 * want of permission may concern a host alone, whom a role limited to groups does not reach: while no other host was
 * refused, it stops nobody else.
 */
export async function countRefusal(
  db: Database,
  door: Pick<Door, 'grantId' | 'zoomUserId'>,
  reason: string,
): Promise<void> {
  const host = reason === 'missing_permission' ? door.zoomUserId : null;
  await sql`
    insert into steward.call_breakers as b (grant_id, version, failures, reason, failed_at, open_until, zoom_user_id)
    select g.id, g.version, 1, ${reason}, steward.now(), steward.now(), ${host} from steward.grants g where g.id = ${door.grantId}
    on conflict (grant_id) do update
       set (version, reason, failed_at, zoom_user_id, several_hosts, failures, open_until) = (
         select excluded.version, excluded.reason, excluded.failed_at, coalesce(b.zoom_user_id, excluded.zoom_user_id), n.several, n.failures,
                excluded.failed_at + interval '1 millisecond' * case when n.failures < ${breakerAfter} then 0
                  else least(${breakerMs} * power(2, least(n.failures - ${breakerAfter}, 20)), ${longestBreakerMs}) end
           from (select coalesce(b.several_hosts or b.zoom_user_id <> excluded.zoom_user_id, false)) as s (several),
        lateral (select s.several, case when b.failed_at < excluded.failed_at - ${forgetMinutes} * interval '1 minute' then 1
                                        when excluded.zoom_user_id is null or s.several then b.failures + 1
                                        else least(b.failures + 1, ${breakerAfter - 1}) end) as n (several, failures))`.execute(
    db,
  );
}

/** Whether a meeting was made for this host through this connection before; false if that is not to be found out. */
export async function hasHosted(db: Database, { connectionId, zoomAccountId, zoomUserId }: Door): Promise<boolean> {
  const asked = sql`
    select from steward.meetings where connection_id = ${connectionId} and zoom_account_id = ${zoomAccountId}
       and zoom_user_id = ${zoomUserId} limit 1`.execute(db);
  return asked.then(
    ({ rows }) => rows.length > 0,
    () => false,
  );
}

/** A call worked: the row of refusals is over. */
export async function endRefusals(db: Database, grantId: string): Promise<void> {
  await sql`delete from steward.call_breakers where grant_id = ${grantId}`.execute(db);
}

/** Remembers for every process that nothing can be made for a host until then. */
export async function blockHost(
  db: Database,
  { zoomAccountId, zoomUserId }: Door,
  why: { readonly reason: 'daily_limit' | 'cannot_host'; readonly zoomCode: number | null; readonly forMs: number },
): Promise<void> {
  await sql`
    insert into steward.host_blocks (zoom_account_id, zoom_user_id, reason, zoom_code, until)
    values (${zoomAccountId}, ${zoomUserId}, ${why.reason}, ${why.zoomCode}, steward.now() + ${why.forMs} * interval '1 millisecond')
    on conflict (zoom_account_id, zoom_user_id) do update
       set reason = excluded.reason, zoom_code = excluded.zoom_code, until = excluded.until`.execute(db);
}
