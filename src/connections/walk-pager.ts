import type { Database } from '../db/database.ts';
import type { CallResult, GrantAuth } from '../grants/call.ts';
import type { ZoomUserPage } from '../zoom/api.ts';
import { dailyCallsOf, limitsOf, mayBegin, paceMsOf } from './account-limits.ts';
import { findWalkFacts, saveLearned, type WalkFacts } from './account-limits-repository.ts';
import type { DirectoryDeps } from './directory-sync-result.ts';
import { countCalls, type Walk, type WalkStatus } from './directory-walk-repository.ts';
import { learnFrom } from './learn-limits.ts';

export type PagerOptions = {
  readonly grantId: string;
  readonly zoomAccountId: string;
  readonly pageSize: number;
  /** of the account's limits, 0–1 */
  readonly share: number;
  /** instead of what share and limits make */
  readonly paceMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly sleep: (ms: number) => Promise<unknown>;
};

export type PageResult = CallResult<ZoomUserPage>;

/** Where a page is. */
export type Place = Pick<Walk, 'status' | 'pageToken'>;

/** While Zoom says that less than this is left of a day's calls, they are for people who wait. */
const keptForPeople = 0.1;

/**
 * A token is read for each call, and a page takes a few milliseconds: within this time the next ones go out with what was read. A
 * request that Zoom's network holds up is older.
 */
const tokenReadForMs = 100;

type ReadToken = { readonly auth: GrantAuth; readonly untilMs: number } & Pick<
  Extract<PageResult, { kind: 'answer' }>,
  'version' | 'scopes'
>;

/** Asks for the pages of an account's walks: at the pace that its limits allow, counting, learning from the answers. */
export async function createPager(deps: DirectoryDeps, options: PagerOptions) {
  const { grantId, zoomAccountId, pageSize, share, signal, sleep } = options;
  let facts = (await findWalkFacts(deps.db, zoomAccountId)) as WalkFacts;
  let { callsToday } = facts;
  let askedAt = performance.now() - (facts.sinceAskedMs ?? Number.POSITIVE_INFINITY);
  /** calls that are not in the database's count yet */
  let uncounted = 0;
  let keepsForPeople = false;
  let read: ReadToken | null = null;

  const paceMs = (): number => options.paceMs ?? paceMsOf(limitsOf(facts), share);
  const callsLeft = (): number => {
    const budget = dailyCallsOf(limitsOf(facts), share);
    return budget === null ? Number.POSITIVE_INFINITY : budget - callsToday - uncounted;
  };

  const listUsers = (auth: GrantAuth, { status, pageToken }: Place) => {
    askedAt = performance.now();
    uncounted += 1;
    return deps.api.listUsers(auth, {
      status: status as WalkStatus,
      pageSize,
      ...(pageToken === null ? {} : { nextPageToken: pageToken }),
    });
  };

  /** With the token as it is now; whatever stands against the grant, or comes of the answer, is seen to there. */
  async function askAnew(place: Place): Promise<PageResult> {
    const untilMs = performance.now() + tokenReadForMs;
    let used: GrantAuth | null = null;
    const result = await deps.grants.call(
      grantId,
      (auth) => {
        used = auth;
        return listUsers(auth, place);
      },
      signal ? { signal } : {},
    );
    const answered = result.kind === 'answer' && result.answer.ok;
    read = answered && used ? { auth: used, untilMs, version: result.version, scopes: result.scopes } : null;
    return result;
  }

  return {
    /** Whether a page may be asked for today; a walk from its beginning must fit into what is left. */
    mayAsk(atBeginning = false): boolean {
      if (keepsForPeople) return false;
      const { users } = facts;
      const budget = dailyCallsOf(limitsOf(facts), share);
      return callsLeft() > 0 && (!atBeginning || mayBegin(budget, { callsToday, users, pageSize }));
    },

    /** Asks for a page when its turn has come, or `atLeastMs` from now. */
    async ask(place: Place, atLeastMs = 0): Promise<PageResult> {
      const waitMs = Math.max(atLeastMs, askedAt + paceMs() - performance.now());
      if (waitMs > 0) await sleep(waitMs);
      if (!read || performance.now() >= read.untilMs) return askAnew(place);
      const { auth, version, scopes } = read;
      const answer = await listUsers(auth, place);
      if (answer.ok) return { kind: 'answer', answer, version, scopes };
      read = null;
      // Ended since it was read, by a refresh or for good: only the row says which.
      return answer.failure.kind === 'token' ? askAnew(place) : { kind: 'answer', answer, version, scopes };
    },

    /** Learns what an answer says of the limits, in the row at once if it is new. */
    async learn(result: PageResult, db: Database = deps.db): Promise<void> {
      if (result.kind !== 'answer') return;
      const { limit } = result.answer;
      if (limit?.label === 'medium' && limit.per === 'day' && limit.limit !== null && limit.remaining !== null)
        keepsForPeople = limit.remaining < limit.limit * keptForPeople;
      const learned = learnFrom(facts, result.answer, 'medium');
      if (!learned) return;
      facts = { ...facts, ...learned };
      await saveLearned(db, zoomAccountId, learned);
    },

    /** How many calls are to be counted with the next page. */
    takeCalls(): number {
      const calls = uncounted;
      uncounted = 0;
      callsToday += calls;
      return calls;
    },

    /** The count of the database, which knows when a day is over. */
    setCallsToday(calls: number): void {
      callsToday = calls;
    },

    /** Counts what no page came of. */
    async countRest(): Promise<void> {
      await countCalls(deps.db, zoomAccountId, this.takeCalls());
    },
  };
}

export type Pager = Awaited<ReturnType<typeof createPager>>;
