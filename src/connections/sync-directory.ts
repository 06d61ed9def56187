import { setTimeout as delay } from 'node:timers/promises';
import { sql } from 'kysely';
import type { Database } from '../db/database.ts';
import type { ZoomFailure, ZoomUser } from '../zoom/api.ts';
import { hashAddresses } from './address-forms.ts';
import { finishWalk } from './directory-swap.ts';
import type { DirectoryDeps, DirectorySync } from './directory-sync-result.ts';
import {
  blockDirectory,
  claimWalk,
  dropWalk,
  stagePage,
  type Walk,
  waitForNextDay,
  walkStatuses,
  yieldWalk,
} from './directory-walk-repository.ts';
import { hintAccount } from './hint-account.ts';
import { createPager, type PageResult, type Pager, type Place } from './walk-pager.ts';
import { walkedSince } from './want-walk.ts';

export type DirectorySyncOptions = {
  /** pages are begun for this long; default 1 s */
  readonly sliceMs?: number;
  /** users a page; default and most: 300 */
  readonly pageSize?: number;
  /** of the account's limits, from 0 to 1; default 0.25 */
  readonly share?: number;
  /** from one call to the next, instead of what share and limits make. What a page costs us is part of it */
  readonly paceMs?: number;
  readonly signal?: AbortSignal;
  /** the copy that was too old when this was asked for (see `wantWalk`): if there is another by now, nobody is asked */
  readonly seen?: number | null;
  /** how to wait; another in tests, whose time is simulated */
  readonly sleep?: (ms: number) => Promise<unknown>;
};

/** Zoom takes no more safely. */
const largestPage = 300;
const defaultShare = 0.25;

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

/** Half to the whole of it: walks that one outage stopped do not come back together. */
const backOffMs = (failed: number): number =>
  failed === 0 ? 0 : Math.min(longestRetryMs, firstRetryMs * 2 ** failed) * (0.5 + Math.random() / 2);

/**
 * Walks the users of a Zoom account in their three states and replaces the stored copy when the walk is complete:
 * page by page, each staged with the walk's new place in one transaction, so that a slice, a crash or another process
 * goes on where it ended. While a page is written the next one is asked for already. One walk an account; Zoom is never
 * called inside a transaction.
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
  if (claimed.kind !== 'walk') return { state: claimed.kind, retryInMs: claimed.retryInMs };
  const { signal } = options;
  const pager = await createPager(deps, {
    grantId,
    zoomAccountId,
    pageSize: options.pageSize ?? largestPage,
    share: options.share ?? defaultShare,
    paceMs: options.paceMs,
    signal,
    // A wait that is cut short is followed by the look at the signal.
    sleep: options.sleep ?? ((ms) => delay(ms, undefined, signal ? { signal } : {}).catch(() => {})),
  });
  try {
    return await walkOn({ deps, grantId, pager, options }, claimed.walk);
  } finally {
    await pager.countRest();
  }
}

type Walking = {
  readonly deps: DirectoryDeps;
  readonly grantId: string;
  readonly pager: Pager;
  readonly options: DirectorySyncOptions;
};

async function walkOn({ deps, grantId, pager, options }: Walking, from: Walk): Promise<DirectorySync> {
  const until = performance.now() + (options.sliceMs ?? 1_000);
  const sliceOver = (): boolean => performance.now() >= until || options.signal?.aborted === true;
  let walk = from;
  let pages = 0;
  let failed = 0;
  let failure: ZoomFailure | null = null;
  /** the page at `walk`, asked for while the one before was written */
  let ahead: Promise<PageResult> | null = null;
  try {
    for (;;) {
      if (walk.status === 'complete') return finishWalk(deps, walk, grantId);
      if (ahead === null) {
        if ((pages > 0 || failure !== null) && sliceOver()) {
          // A slice without a page is no progress: the job's retry waits longer each time, the next slice would not.
          if (pages === 0 && failure !== null && options.signal?.aborted !== true)
            return endPageFailed(deps, walk, failure, pages);
          await yieldWalk(deps.db, walk);
          return { state: 'more', pages };
        }
        if (!pager.mayAsk(walk.status === 'active' && walk.pageToken === null))
          return { state: 'daily_limit', retryInMs: await untilNextDay(deps, walk) };
      }
      const got: PageResult = await (ahead ?? pager.ask(walk, backOffMs(failed)));
      ahead = null;
      await pager.learn(got);
      if (got.kind !== 'answer') {
        await yieldWalk(deps.db, walk);
        return {
          state: 'failed',
          reason: got.kind === 'vault_unreadable' ? got.kind : got.reason,
          retryable: got.kind !== 'dead',
        };
      }
      if (!got.answer.ok) {
        failure = got.answer.failure;
        if (mayPass.has(failure.kind) && failed < retriesAPage) {
          failed += 1;
          continue;
        }
        return endPageFailed(deps, walk, failure, pages);
      }
      failed = 0;
      failure = null;
      const { users, nextPageToken } = got.answer.value;
      const next = placeAfter(walk, nextPageToken);
      const calls = pager.takeCalls();
      if (next.status !== 'complete' && !sliceOver() && pager.mayAsk()) {
        ahead = pager.ask(next);
        // Whatever it comes to is looked at in its turn.
        ahead.catch(() => {});
      }
      const callsToday = await stage(deps, walk, users, next, calls);
      // Our lease ran out while we waited for Zoom, and somebody else went on.
      if (callsToday === null) return { state: 'busy' };
      pager.setCallsToday(callsToday);
      walk = { ...walk, ...next };
      pages += 1;
    }
  } finally {
    // What was asked for is answered, or given up, before anybody else walks or the process ends.
    await ahead?.catch(() => {});
  }
}

const untilNextDay = (deps: DirectoryDeps, walk: Walk): Promise<number> =>
  deps.db.transaction().execute((trx) => waitForNextDay(trx, walk));

/** Writes a page and where the walk goes on; null: it did not stand there any more. Otherwise the day's calls. */
async function stage(
  deps: DirectoryDeps,
  walk: Walk,
  users: readonly ZoomUser[],
  next: Place,
  calls: number,
): Promise<number | null> {
  const addresses = await hashAddresses(
    deps.db,
    deps.vault,
    users.map(({ email }) => email),
  );
  const rows = addresses.map(({ key, hash }, at) => {
    const { id = null, type = null } = users[at] ?? {};
    return { id, type, key, hash };
  });
  return stagePage(deps.db, walk, rows, next, calls);
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
