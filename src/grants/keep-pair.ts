import type { Kysely } from 'kysely';
import type { DB } from '../db/schema.ts';
import { type Committed, commitPair, type PairToCommit } from './commit-pair.ts';
import { startElapsed } from './elapsed.ts';
import type { OnGrantEvent } from './grant-events.ts';
import type { Journal, JournalEntry } from './journal.ts';
import { persist } from './persist.ts';
import type { Attempt } from './refresh-attempt-repository.ts';
import { tellConnections } from './tell-connections.ts';
import type { TrustedApi } from './token-facts.ts';
import type { Vault, VaultPlace } from './vault.ts';

type Deps = {
  readonly db: Kysely<DB>;
  readonly vault: Vault;
  readonly api: TrustedApi;
  readonly onEvent: OnGrantEvent;
  /** null: none is configured */
  readonly journal: Journal | null;
};

const placeOf = (
  { grantId, clientId, version }: JournalEntry['attempt'],
  column: VaultPlace['column'],
): VaultPlace => ({
  table: 'grants',
  column,
  id: grantId,
  clientId,
  version: version + 1,
});

/**
 * Commits a pair, again and again until it holds. At the first failure it goes into the journal, if there is one: then
 * the end of the process does not lose it.
 */
export function createKeepPair({ db, vault, api, onEvent, journal }: Deps) {
  return async function keepPair(pair: Omit<PairToCommit, 'ageMs' | 'api'>): Promise<Committed> {
    const age = startElapsed();
    const answeredAt = new Date().toISOString();
    const { attempt, tokens, sentRefresh } = pair;
    const { id, grantId, version, clientId } = attempt;
    let journaled: Promise<void> | null = null;

    const write = async (to: Journal): Promise<void> => {
      const { expiresInS, scopes, apiUrl } = tokens;
      try {
        await to.write({
          attempt: { id, grantId, version, clientId },
          sealedAccess: vault.seal(tokens.accessToken, placeOf(attempt, 'sealed_access')),
          sealedRefresh: vault.seal(tokens.refreshToken ?? sentRefresh, placeOf(attempt, 'sealed_refresh')),
          sameRefresh: tokens.refreshToken === null,
          ...{ expiresInS, scopes: scopes && [...scopes], apiUrl, answeredAt },
        });
      } catch (error) {
        onEvent({ type: 'journal_failed', grantId, error });
      }
    };

    const committed = await persist(() => commitPair(db, vault, { ...pair, ageMs: age(), api }), {
      onFailure(error) {
        if (journal) journaled ??= write(journal);
        onEvent({ type: 'database_away', grantId, holdingPair: true, error });
      },
    });
    if (journal && journaled !== null) {
      await journaled;
      // Left behind it is harmless: its version has moved.
      await journal.remove(id).catch((error: unknown) => onEvent({ type: 'journal_failed', grantId, error }));
    }
    return committed;
  };
}

/** What became of the journal at a start. */
export type Replayed = { readonly committed: number; readonly stale: number; readonly unreadable: number };

/**
 * Commits what a process that is gone had to leave in the journal, where the version is still the one that was sent. What
 * cannot be opened stays on disk: a key may be missing. Rejects if the database is away.
 */
export async function replayJournal({ db, vault, api, onEvent, journal }: Deps): Promise<Replayed> {
  const counts = { committed: 0, stale: 0, unreadable: 0 };
  for (const { name, entry } of (await journal?.list()) ?? []) {
    const access = entry && vault.open(entry.sealedAccess, placeOf(entry.attempt, 'sealed_access'));
    const refresh = entry && vault.open(entry.sealedRefresh, placeOf(entry.attempt, 'sealed_refresh'));
    if (entry === null || !access?.ok || !refresh?.ok) {
      counts.unreadable += 1;
      onEvent({
        type: 'journal_failed',
        grantId: entry?.attempt.grantId ?? name,
        error: new Error(`${name} does not open`),
      });
      continue;
    }
    const { sameRefresh, expiresInS, scopes, apiUrl, answeredAt } = entry;
    const committed = await commitPair(db, vault, {
      attempt: { ...entry.attempt, sealedRefresh: null, recovery: true, failures: 0, probe: false } satisfies Attempt,
      tokens: {
        kind: 'tokens',
        accessToken: access.secret,
        refreshToken: sameRefresh ? null : refresh.secret,
        ...{ expiresInS, scopes, apiUrl },
      },
      sentRefresh: refresh.secret,
      ageMs: Math.max(0, Date.now() - Date.parse(answeredAt)),
      api,
    });
    // What it replaced may have been looked at meanwhile: whoever uses the grant looks again.
    if (committed.kind === 'committed')
      await db.transaction().execute((trx) => tellConnections(trx, entry.attempt.grantId));
    await journal?.remove(entry.attempt.id);
    counts[committed.kind === 'committed' ? 'committed' : 'stale'] += 1;
    onEvent({ type: 'journal_replayed', grantId: entry.attempt.grantId, outcome: committed.kind });
  }
  return counts;
}
