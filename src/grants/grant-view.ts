import { type Kysely, sql } from 'kysely';
import type { DB } from '../db/schema.ts';
import type { DeadReason, GrantState } from './grant-repository.ts';

/** All that handing out a token needs to know, in one row; durations by the database clock, in milliseconds. */
export type GrantView = {
  readonly id: string;
  readonly clientId: string;
  readonly zoomAccountId: string;
  readonly state: GrantState;
  readonly deadReason: DeadReason | null;
  readonly version: number;
  readonly sealedAccess: string | null;
  readonly sealedRefresh: string | null;
  readonly scopes: readonly string[];
  readonly apiBase: string;
  /** left on the access token; negative once it has ended */
  readonly leftMs: number;
  /** how long Zoom let it live when it was stored */
  readonly lifetimeMs: number;
  /** until the second look may be made; not above 0: now, or none is waiting */
  readonly lookInMs: number;
  /** somebody refreshes or revokes; not: an attempt that ended unknown and keeps its lease */
  readonly leased: boolean;
  /** an attempt on this version has no outcome yet, and its time is not up */
  readonly open: boolean;
  /** until the next attempt on this version may start; not above 0: now */
  readonly nextInMs: number;
  /** an attempt on this version ended unknown, or never ended */
  readonly unsettled: boolean;
  /** somebody was refused with the access token of this version: it is not handed out again */
  readonly accessRefused: boolean;
  /** our application is refused, and the time of the breaker is not up */
  readonly broken: boolean;
  /** until Zoom wants to hear from this client id again */
  readonly pausedInMs: number;
  /** an operator paused calls to Zoom */
  readonly switchedOff: boolean;
};

/** Reads a grant for the hot path: one row by primary key, no lock. */
export async function findGrantView(db: Kysely<DB>, grantId: string): Promise<GrantView | undefined> {
  const { rows } = await sql<GrantView>`
    select g.id, g.client_id as "clientId", g.zoom_account_id as "zoomAccountId", g.state, g.dead_reason as "deadReason", g.version,
           g.sealed_access as "sealedAccess", g.sealed_refresh as "sealedRefresh", g.scopes, g.api_base as "apiBase",
           ms.left as "leftMs", ms.lifetime as "lifetimeMs", ms.look as "lookInMs", coalesce(g.lease_until > steward.now() and not exists (select from steward.refresh_attempts e
                                                                   where e.id = g.lease_token and e.outcome is not null), false) as leased,
           coalesce(a.open, false) as open, coalesce(a.unsettled, false) as unsettled, coalesce(a.next, 0) as "nextInMs",
           coalesce(a.refused, false) as "accessRefused",
           coalesce(c.breaker_until > steward.now(), false) as broken,
           coalesce(extract(epoch from c.paused_until - steward.now()) * 1000, 0)::float8 as "pausedInMs",
           exists (select from steward.switches where name in ('pause_all', 'pause_zoom')) as "switchedOff"
      from steward.grants g
      left join steward.client_states c on c.client_id = g.client_id,
      lateral (select coalesce(extract(epoch from g.access_expires_at - steward.now()) * 1000, 0)::float8 as left,
                      coalesce(extract(epoch from g.access_expires_at - g.refreshed_at) * 1000, 0)::float8 as lifetime,
                      coalesce(extract(epoch from g.second_look_at - steward.now()) * 1000, 0)::float8 as look) ms,
      lateral (select bool_or(outcome is null and next_at > steward.now()) as open,
                      bool_or(outcome is null or outcome = 'unknown') as unsettled,
                      bool_or(cause = 'token_refused') as refused,
                      (extract(epoch from max(next_at) - steward.now()) * 1000)::float8 as next
                 from steward.refresh_attempts where grant_id = g.id and version = g.version) a
     where g.id = ${grantId}`.execute(db);
  return rows[0];
}
