import { setTimeout as delay } from 'node:timers/promises';
import { sql } from 'kysely';
import type { Database } from '../db/database.ts';
import type { ZoomFailure } from '../zoom/api.ts';
import { hashAddresses } from './address-forms.ts';
import { finishWalk } from './directory-swap.ts';
import type { DirectoryDeps, DirectorySync } from './directory-sync-result.ts';
import {
  blockDirectory,
  claimWalk,
  dropWalk,
  stagePage,
  type Walk,
  walkStatuses,
  yieldWalk,
} from './directory-walk-repository.ts';
import { hintAccount } from './hint-account.ts';
import { walkedSince } from './want-walk.ts';

export type DirectorySyncOptions = {
  /** pages are begun for this long; default 1 s */
  readonly sliceMs?: number;
  /** users a page; Zoom takes 300 at most safely */
  readonly pageSize?: number;
  /**
   * from one call to the next, so that we take a share of the account's limit; default 70 ms, 25 % of Business. What a page
   * costs us is part of it: Zoom counts calls
   */
  readonly paceMs?: number;
  readonly signal?: AbortSignal;
  /** the copy that was too old when this was asked for (see `wantWalk`): if there is another by now, nobody is asked */
  readonly seen?: number | null;
  /** how to wait; another in tests, whose time is simulated */
  readonly sleep?: (ms: number) => Promise<unknown>;
};

/** A page whose answer was lost or was an error of the server is asked for again, so often and after so long. */
const retriesAPage = 5;
const firstRetryMs = 250;
const longestRetryMs = 4_000;
const mayPass: ReadonlySet<ZoomFailure['kind']> = new Set(['server', 'network', 'unexpected']);

/** Calls of the account pause this long where Zoom does not say until when. */
const defaultBlockMs = 60_000;

/** A grant that can read the account's users: of a connection in use, else of a candidate. */
export async function findDirectoryGrant(db: Database, zoomAccountId: string): Promise<string | null> {
  const { rows } = await sql<{ id: string }>`
    select g.id from steward.grants g
     where g.zoom_account_id = ${zoomAccountId} and g.client_kind = 'admin' and g.state in ('living', 'suspect')
       and (exists (select from steward.org_connections c where c.grant_id = g.id and c.state in ('active', 'interrupted'))
         or exists (select from steward.candidates k where k.grant_id = g.id
                     and k.state in ('exchanged', 'unidentified', 'verifying', 'waiting', 'awaiting_confirmation')))
     order by g.state, g.consented_at desc limit 1`.execute(db);
  return rows[0]?.id ?? null;
}

/**
 * Walks the users of a Zoom account in their three states and replaces the stored copy when the walk is complete:
 * page by page, each staged with the walk's new place in one transaction, so that a slice, a crash or another process
 * goes on where it ended. One walk an account; Zoom is never called inside a transaction.
 */
export async function syncDirectory(
  deps: DirectoryDeps,
  zoomAccountId: string,
  options: DirectorySyncOptions = {},
): Promise<DirectorySync> {
  const grantId = await findDirectoryGrant(deps.db, zoomAccountId);
  if (grantId === null) return { state: 'unused' };
  if (options.seen !== undefined && (await walkedSince(deps.db, zoomAccountId, options.seen)))
    return { state: 'walked' };
  const claimed = await claimWalk(deps.db, zoomAccountId);
  if (claimed.kind === 'busy') return { state: 'busy' };
  if (claimed.kind === 'blocked') return { state: 'blocked', retryInMs: claimed.retryInMs };
  let walk: Walk = claimed.walk;
  const until = performance.now() + (options.sliceMs ?? 1_000);
  const sleep = options.sleep ?? delay;
  let failed = 0;
  let askedAt = 0;
  for (let pages = 0; ; pages += 1) {
    if (walk.status === 'complete') return finishWalk(deps, walk, grantId);
    if (pages > 0) {
      if (performance.now() >= until || options.signal?.aborted) {
        await yieldWalk(deps.db, walk);
        return { state: 'more', pages };
      }
      // Half to the whole of it: walks that one outage stopped do not come back together.
      const backOffMs =
        failed === 0 ? 0 : Math.min(longestRetryMs, firstRetryMs * 2 ** failed) * (0.5 + Math.random() / 2);
      const paceLeftMs = askedAt + (options.paceMs ?? 70) - performance.now();
      await sleep(Math.max(0, paceLeftMs, backOffMs));
    }
    const { status, pageToken } = walk;
    const got = await deps.grants.call(
      grantId,
      (auth) => {
        askedAt = performance.now();
        return deps.api.listUsers(auth, {
          status,
          pageSize: options.pageSize ?? 300,
          ...(pageToken === null ? {} : { nextPageToken: pageToken }),
        });
      },
      options.signal ? { signal: options.signal } : {},
    );
    if (got.kind !== 'answer') {
      await yieldWalk(deps.db, walk);
      return {
        state: 'failed',
        reason: got.kind === 'vault_unreadable' ? got.kind : got.reason,
        retryable: got.kind !== 'dead',
      };
    }
    if (!got.answer.ok) {
      const { failure } = got.answer;
      if (mayPass.has(failure.kind) && failed < retriesAPage) {
        failed += 1;
        continue;
      }
      return endPageFailed(deps, walk, failure, pages);
    }
    failed = 0;
    const { users, nextPageToken } = got.answer.value;
    const addresses = await hashAddresses(
      deps.db,
      deps.vault,
      users.map(({ email }) => email),
    );
    const next = placeAfter(walk, nextPageToken);
    const here = walk;
    const moved = await deps.db.transaction().execute((trx) =>
      stagePage(
        trx,
        here,
        users.map(({ id, type }, at) => ({ id, type, status, ...addresses[at] })),
        next,
      ),
    );
    // Our lease ran out while we waited for Zoom, and somebody else went on.
    if (!moved) return { state: 'busy' };
    walk = { ...walk, ...next };
  }
}

function placeAfter(walk: Walk, nextPageToken: string | null): Pick<Walk, 'status' | 'pageToken'> {
  if (nextPageToken !== null && nextPageToken !== '') return { status: walk.status, pageToken: nextPageToken };
  const index = (walkStatuses as readonly string[]).indexOf(walk.status);
  return { status: walkStatuses[index + 1] ?? 'complete', pageToken: null };
}

async function endPageFailed(
  deps: DirectoryDeps,
  walk: Walk,
  failure: ZoomFailure,
  pages: number,
): Promise<DirectorySync> {
  const failed = (retryable: boolean): DirectorySync => ({ state: 'failed', reason: failure.kind, retryable });
  switch (failure.kind) {
    case 'rate_limited':
    case 'host_daily_limit': {
      const retryInMs = Math.max(1_000, failure.retryAtMs ? failure.retryAtMs - Date.now() : defaultBlockMs);
      await blockDirectory(deps.db, walk.zoomAccountId, retryInMs);
      return { state: 'blocked', retryInMs };
    }
    case 'page_token':
      // Its 15 minutes are over: what was staged may have gaps by now, so the walk begins anew.
      await deps.db.transaction().execute((trx) => dropWalk(trx, walk));
      return { state: 'more', pages };
    case 'token':
    case 'missing_scope':
    case 'missing_permission':
      await yieldWalk(deps.db, walk);
      await deps.db.transaction().execute((trx) =>
        hintAccount(trx, {
          zoomAccountId: walk.zoomAccountId,
          actor: 'zoom',
          reason: `directory walk: ${failure.kind}`,
        }),
      );
      return failed(false);
    case 'not_found':
    case 'cannot_host':
    case 'server':
    case 'network':
    case 'application':
    case 'unexpected':
      await yieldWalk(deps.db, walk);
      return failed(true);
    default:
      failure.kind satisfies never;
      return failed(true);
  }
}
