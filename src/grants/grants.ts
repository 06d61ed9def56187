import type { Kysely } from 'kysely';
import type { DB } from '../db/schema.ts';
import type { ZoomAnswer } from '../zoom/api.ts';
import type { ZoomClient, ZoomOauth } from '../zoom/oauth.ts';
import { type AccessTokenOptions, type AccessTokenResult, createAccessToken } from './access-token.ts';
import { type CallResult, createCall, type GrantAuth } from './call.ts';
import { createClientSecrets } from './client-secrets.ts';
import { createTakeSlot } from './client-state-repository.ts';
import type { OnCrashPoint } from './crash-points.ts';
import { createDetachedRefreshes } from './detached-refreshes.ts';
import type { OnGrantEvent } from './grant-events.ts';
import { createJournal } from './journal.ts';
import { createKeepPair, type Replayed, replayJournal } from './keep-pair.ts';
import { createPacer } from './pacer.ts';
import { answered } from './persist.ts';
import { createRefresh } from './refresh.ts';
import { defaultRefreshTimes, type RefreshTimes } from './refresh-times.ts';
import { createRetire, type Retired } from './retire.ts';
import { createSecondLook, type SecondLook } from './second-look.ts';
import type { TrustedApi } from './token-facts.ts';
import type { Vault } from './vault.ts';
import { createWatchedView } from './version-watch.ts';
import { createWake } from './wake.ts';

export type GrantsDeps = {
  readonly db: Kysely<DB>;
  readonly oauth: Pick<ZoomOauth, 'refresh' | 'revoke'>;
  readonly clients: readonly ZoomClient[];
  readonly vault: Vault;
  /** the endpoints' API base and which regional bases may be followed */
  readonly api: TrustedApi;
  /** names this process in the attempts log, e.g. host:pid */
  readonly holder: string;
  /** for LISTEN on a connection of its own; without it waiters only poll */
  readonly listenUrl?: string;
  readonly times?: Partial<RefreshTimes>;
  /** refreshes of a client id are spaced by this many milliseconds, over all processes; default 100, 0: not at all */
  readonly pacedEveryMs?: number;
  /** where pairs go that the database cannot take; without it they are kept in memory only */
  readonly journalFile?: string;
  readonly onEvent?: OnGrantEvent;
  readonly onCrashPoint?: OnCrashPoint;
};

export type Grants = {
  /** A token with enough time left, refreshed if need be by one process of all. */
  accessToken(grantId: string, options?: AccessTokenOptions): Promise<AccessTokenResult>;
  /** Runs a Zoom call with a token; once more with a newer one if Zoom refuses the token itself. */
  call<T>(
    grantId: string,
    work: (auth: GrantAuth) => Promise<ZoomAnswer<T>>,
    options?: AccessTokenOptions,
  ): Promise<CallResult<T>>;
  /** Looks at the token endpoint where a look is due: suspects, and refreshes whose outcome nobody knows. */
  secondLook(grantId: string): Promise<SecondLook>;
  /** Revokes a retiring grant, then deletes its secrets. */
  retire(grantId: string): Promise<Retired>;
  /** Stores what an exchange outside a refresh brought, until it is stored; `settle` waits for it. */
  keep<T>(id: string, write: () => Promise<T>): Promise<T>;
  /** Commits what a process that is gone left in the journal. For the start; rejects if the database is away. */
  replayJournal(): Promise<Replayed>;
  /** Resolves when no refresh of this process is on its way: what Zoom gave us is stored. */
  settle(): Promise<void>;
  /** Starts nothing new, settles, and closes the listener. */
  close(): Promise<void>;
};

/** 10 refreshes a second with one client id (lifecycle §3). */
const defaultPacedEveryMs = 100;

/** The grants of this installation: who needs a token comes here, and nobody else refreshes. */
export function createGrants(deps: GrantsDeps): Grants {
  const { db, oauth, vault, api, holder } = deps;
  const times: RefreshTimes = { ...defaultRefreshTimes, ...deps.times };
  const onEvent: OnGrantEvent = (event) => {
    try {
      deps.onEvent?.(event);
    } catch {
      // Telling must not stop a refresh.
    }
  };
  const onCrashPoint: OnCrashPoint = deps.onCrashPoint ?? (() => {});
  const clients = createClientSecrets(deps.clients);
  const wake = createWake(deps.listenUrl === undefined ? {} : { url: deps.listenUrl });
  const takeSlot = createTakeSlot(db, deps.pacedEveryMs ?? defaultPacedEveryMs);
  // A turn that the database does not answer about must not hold the refreshes of a client id.
  const pacer = createPacer({
    takeSlot: (clientId, reserve) => answered(times.databaseMs, takeSlot(clientId, reserve)),
  });
  const journal = deps.journalFile === undefined ? null : createJournal(deps.journalFile);
  const keepPair = createKeepPair({ db, vault, api, onEvent, journal });
  const refresh = createRefresh({
    ...{ db, oauth, clients, vault, api, holder, times, pacer, keepPair, onEvent, onCrashPoint },
  });
  const refreshes = createDetachedRefreshes(refresh, { onEvent });
  const find = createWatchedView({ db, onEvent });
  const accessToken = createAccessToken({ find, vault, clients, refreshes, wake, times, onEvent });
  return {
    accessToken,
    call: createCall(accessToken),
    secondLook: createSecondLook({ refreshes, find }),
    retire: createRetire({ db, oauth, clients, times, accessToken, onEvent, onCrashPoint }),
    keep: (id, write) => refreshes.keep(id, write),
    replayJournal: () => replayJournal({ db, vault, api, onEvent, journal }),
    settle: () => refreshes.settle(),
    async close() {
      refreshes.quiet();
      await refreshes.settle();
      await wake.close();
    },
  };
}
