import { type Kysely, sql, type Transaction } from 'kysely';
import type { DB } from '../db/schema.ts';

const probeMs = 60_000;
const firstOpenMs = 30_000;
const longestOpenMs = 10 * 60_000;

/** Whether a refresh may be sent with this client id: closed, this one probes an open breaker, or not now. */
export type ClientPass = 'closed' | 'probe' | 'open' | 'paused';

/**
 * Asks the breaker, in the transaction that takes a lease. When its time is over exactly one refresh of all
 * processes may probe; if that one dies, the next may a minute later.
 */
export async function passClient(trx: Transaction<DB>, clientId: string): Promise<ClientPass> {
  const { rows } = await sql<{ broken: boolean; open: boolean; paused: boolean }>`
    select breaker_until is not null as broken, coalesce(breaker_until > steward.now(), false) as open,
           coalesce(paused_until > steward.now(), false) as paused
      from steward.client_states where client_id = ${clientId}`.execute(trx);
  const state = rows[0];
  if (state?.paused) return 'paused';
  if (state?.open) return 'open';
  if (!state?.broken) return 'closed';
  const { numAffectedRows } = await sql`
    update steward.client_states set breaker_until = steward.now() + ${probeMs} * interval '1 millisecond'
     where client_id = ${clientId} and breaker_until <= steward.now()`.execute(trx);
  return numAffectedRows === 1n ? 'probe' : 'open';
}

/**
 * Opens the breaker after Zoom refused our application: says nothing about any grant. Longer each time.
 * @returns whether it was closed before: then operators are told
 */
export async function openBreaker(db: Kysely<DB>, clientId: string, code: string): Promise<boolean> {
  const { rows } = await sql<{ count: number }>`
    insert into steward.client_states as held (client_id, breaker_since, breaker_until, breaker_reason, breaker_count)
    values (${clientId}, steward.now(), steward.now() + ${firstOpenMs} * interval '1 millisecond', ${code}, 1)
    on conflict (client_id) do update
       set breaker_since = coalesce(held.breaker_since, steward.now()), breaker_reason = excluded.breaker_reason,
           breaker_count = held.breaker_count + 1,
           breaker_until = steward.now()
             + least(${firstOpenMs} * power(2, least(held.breaker_count, 16)), ${longestOpenMs}) * interval '1 millisecond'
    returning breaker_count as count`.execute(db);
  return rows[0]?.count === 1;
}

/**
 * Whether Zoom refreshed another grant with this client id a moment ago: then an answer about our application that
 * one grant alone meets is no reason to stop all. A consent is no such evidence: it brings the scopes of the day.
 */
export async function othersAreRefreshed(db: Kysely<DB>, clientId: string, grantId: string): Promise<boolean> {
  const { rows } = await sql<{ works: boolean }>`
    select exists (select from steward.grants
                    where client_id = ${clientId} and id <> ${grantId} and refreshed_at > consented_at
                      and refreshed_at > steward.now() - ${longestOpenMs} * interval '1 millisecond') as works`.execute(
    db,
  );
  return rows[0]?.works ?? false;
}

/** Closes the breaker: Zoom accepted our credentials. */
export async function closeBreaker(db: Kysely<DB>, clientId: string): Promise<void> {
  await sql`
    update steward.client_states set breaker_since = null, breaker_until = null, breaker_reason = null, breaker_count = 0
     where client_id = ${clientId} and breaker_count > 0`.execute(db);
}

/** Zoom asked this client id to wait (429): nobody sends until then. */
export async function pauseClient(db: Kysely<DB>, clientId: string, ms: number): Promise<void> {
  await sql`
    insert into steward.client_states as held (client_id, paused_until)
    values (${clientId}, steward.now() + ${ms} * interval '1 millisecond')
    on conflict (client_id) do update set paused_until = greatest(held.paused_until, excluded.paused_until)`.execute(
    db,
  );
}

/** Whether a turn was taken, and how long it is until it comes; not taken: until it is worth asking again. */
export type Slot = { readonly taken: boolean; readonly waitMs: number };

export type TakeSlot = (clientId: string, reserve: boolean) => Promise<Slot>;

/** A turn further away than this is a clock that was set back, or nobody's any more. */
const farthestSlotMs = 60_000;

/**
 * Takes the next turn of a client id, over all processes: one `everyMs` after another, by the real clock of the database.
 * With `reserve` a later turn is taken as well, and the caller waits for it; without it only one that is free now, so
 * that whoever reserves comes first. A turn of a process that dies is lost, and nothing else.
 */
export function createTakeSlot(db: Kysely<DB>, everyMs: number): TakeSlot {
  const step = sql`${everyMs}::float8 * interval '1 millisecond'`;
  return async (clientId, reserve) => {
    if (everyMs <= 0) return { taken: true, waitMs: 0 };
    const { rows } = await sql<{ waitMs: number }>`
      insert into steward.client_states as held (client_id, next_slot_at) values (${clientId}, clock_timestamp() + ${step})
      on conflict (client_id) do update
         set next_slot_at = ${step} + case
               when held.next_slot_at > clock_timestamp() and held.next_slot_at < clock_timestamp() + ${farthestSlotMs} * interval '1 millisecond'
               then held.next_slot_at else clock_timestamp() end
       where ${reserve} or coalesce(held.next_slot_at <= clock_timestamp(), true)
          or held.next_slot_at >= clock_timestamp() + ${farthestSlotMs} * interval '1 millisecond'
      returning greatest(0, extract(epoch from held.next_slot_at - ${step} - clock_timestamp()) * 1000)::float8 as "waitMs"`.execute(
      db,
    );
    const [turn] = rows;
    return turn ? { taken: true, waitMs: turn.waitMs } : { taken: false, waitMs: everyMs };
  };
}
