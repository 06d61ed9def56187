import type { Kysely } from 'kysely';
import { insertAudit } from '../db/audit-repository.ts';
import type { DB } from '../db/schema.ts';
import type { Secret } from '../secret.ts';
import type { TokenAnswer, ZoomClient, ZoomOauth } from '../zoom/oauth.ts';
import { type ClientSecrets, isAboutCredentials, stopsTheClient } from './client-secrets.ts';
import { closeBreaker, openBreaker, othersAreRefreshed, pauseClient } from './client-state-repository.ts';
import type { Committed } from './commit-pair.ts';
import type { OnCrashPoint } from './crash-points.ts';
import { startElapsed } from './elapsed.ts';
import type { OnGrantEvent } from './grant-events.ts';
import type { DeadReason, Tokens } from './grant-repository.ts';
import { judgeRefusal } from './judge-refusal.ts';
import type { createKeepPair } from './keep-pair.ts';
import type { Pacer } from './pacer.ts';
import { answered, persist } from './persist.ts';
import {
  type Acquired,
  type Attempt,
  type AttemptEnd,
  acquireAttempt,
  endAttempt,
  findLeaseLeftMs,
  type RefreshCause,
} from './refresh-attempt-repository.ts';
import { backOffMs, type RefreshTimes } from './refresh-times.ts';
import { tellConnections } from './tell-connections.ts';
import type { TrustedApi } from './token-facts.ts';
import type { Vault } from './vault.ts';

export type RefreshDeps = {
  readonly db: Kysely<DB>;
  readonly oauth: Pick<ZoomOauth, 'refresh'>;
  readonly clients: ClientSecrets;
  readonly vault: Vault;
  readonly api: TrustedApi;
  /** names this process in the attempts log */
  readonly holder: string;
  readonly times: RefreshTimes;
  readonly pacer: Pacer;
  readonly keepPair: ReturnType<typeof createKeepPair>;
  readonly onEvent: OnGrantEvent;
  readonly onCrashPoint: OnCrashPoint;
};

/** How one refresh ended, for whoever started it. Everybody else reads the grant. */
export type RefreshReport =
  | { readonly kind: 'rotated' }
  /** nothing was tried */
  | { readonly kind: 'not_acquired'; readonly reason: Extract<Acquired, { ok: false }>['reason'] }
  | { readonly kind: 'not_sent'; readonly detail: string }
  | { readonly kind: 'unknown'; readonly detail: string }
  | { readonly kind: 'application'; readonly code: string }
  | { readonly kind: 'refused'; readonly dead: DeadReason | null };

/** 5xx and the like come whole: the request is over, so its repetition waits for a back-off, not for the deadline. */
const applicationRetryMs = 30_000;
const notGrantRetryGiveUpMs = 30_000;

/** The refresh of lifecycle §3, steps 1 to 7, for one grant and version. Started detached: nobody can abort it. */
export function createRefresh(deps: RefreshDeps) {
  const { db, oauth, clients, vault, api, times, onEvent, onCrashPoint } = deps;
  // Nothing that is waited for so may hold the grant's refreshes of this process for longer: whoever comes joins them.
  const soon = <T>(work: Promise<T>): Promise<T> => answered(times.databaseMs, work);

  const recordEnd = (attempt: Attempt, end: AttemptEnd): Promise<void> =>
    record(attempt, () => endAttempt(db, attempt, end));

  // Not recorded is safe: the attempt stays open and the next one, after its deadline, is a recovery.
  const record = async <T>(attempt: Attempt, work: () => Promise<T>): Promise<T> => {
    const done = await persist(work, {
      givesUpAfterMs: notGrantRetryGiveUpMs,
      onFailure: (error) => onEvent({ type: 'database_away', grantId: attempt.grantId, holdingPair: false, error }),
    });
    await onCrashPoint('recorded');
    return done;
  };

  async function notSent(attempt: Attempt, detail: string, nextInMs: number): Promise<RefreshReport> {
    await recordEnd(attempt, { outcome: 'not_sent', detail, nextInMs });
    onEvent({ type: 'refresh_not_sent', grantId: attempt.grantId, detail });
    return { kind: 'not_sent', detail };
  }

  /** Step 5: commit first, judge afterwards. */
  async function commit(attempt: Attempt, tokens: Tokens, sentRefresh: Secret): Promise<RefreshReport> {
    const { grantId } = attempt;
    const committed = await deps.keepPair({ attempt, tokens, sentRefresh });
    await onCrashPoint('committed');
    const stale = committed.kind === 'stale';
    onEvent({ type: 'refresh_rotated', grantId, version: attempt.version + 1, recovery: attempt.recovery, stale });
    if (tokens.refreshToken === null) onEvent({ type: 'refresh_token_missing', grantId });
    if (tokens.apiUrl !== null && !api.trustedApiBase(tokens.apiUrl)) {
      onEvent({ type: 'api_url_not_followed', grantId, apiUrl: tokens.apiUrl.slice(0, 200) });
    }
    if (committed.kind !== 'stale') await judgeSuccess(attempt, tokens, committed);
    return { kind: 'rotated' };
  }

  /** Step 7. The pair is safe: whatever fails here is found by the next verification. */
  async function judgeSuccess(
    attempt: Attempt,
    tokens: Tokens,
    committed: Exclude<Committed, { kind: 'stale' }>,
  ): Promise<void> {
    const { grantId } = attempt;
    // Committed by a try whose acknowledgement was lost: what it replaced is not known any more, so all look.
    const unsure = committed.kind === 'already';
    const missing =
      !unsure && tokens.scopes?.length
        ? committed.previousScopes.filter((scope) => !tokens.scopes?.includes(scope))
        : [];
    const livesAgain = !unsure && (committed.previousState === 'suspect' || committed.previousState === 'dead');
    if (missing.length > 0) onEvent({ type: 'scopes_shrank', grantId, missing });
    if (livesAgain) onEvent({ type: 'grant_lives_again', grantId });
    if (!unsure && missing.length === 0 && !livesAgain && tokens.refreshToken !== null) return;
    try {
      const told = db.transaction().execute(async (trx) => {
        if (unsure || missing.length > 0 || livesAgain) await tellConnections(trx, grantId);
        if (livesAgain)
          await insertAudit(trx, {
            organizationId: null,
            actor: 'zoom',
            action: 'grant.lives_again',
            subjectId: grantId,
          });
        if (tokens.refreshToken === null) {
          await insertAudit(trx, {
            organizationId: null,
            actor: 'zoom',
            action: 'grant.refresh_token_missing',
            subjectId: grantId,
          });
        }
      });
      await soon(told);
    } catch (error) {
      onEvent({ type: 'database_away', grantId, holdingPair: false, error });
    }
  }

  async function applicationRefused(attempt: Attempt, code: string, triesAnother: boolean): Promise<RefreshReport> {
    const { clientId, grantId } = attempt;
    const always = stopsTheClient(code);
    const alone = Math.max(applicationRetryMs, backOffMs(times, attempt.failures + 1));
    const nextInMs = triesAnother ? 0 : always ? applicationRetryMs : alone;
    await recordEnd(attempt, { outcome: 'refused', detail: `application: ${code}`, nextInMs });
    let breakerOpened = false;
    if (!triesAnother) {
      const opened = db.transaction().execute(async (trx) => {
        const stopsAll = always || !(await othersAreRefreshed(trx, clientId, grantId));
        const first = stopsAll && (await openBreaker(trx, clientId, code));
        const facts = {
          organizationId: null,
          actor: 'zoom',
          action: 'client.refused',
          reason: code,
          subjectId: grantId,
          data: { clientId, stopsAll },
        } as const;
        // Of one grant's own trouble operators are told once as well, not at each repetition.
        if (first || (!stopsAll && attempt.failures === 0)) await insertAudit(trx, facts);
        return first;
      });
      breakerOpened = await soon(opened);
    }
    onEvent({ type: 'application_refused', grantId, clientId, code, breakerOpened });
    return { kind: 'application', code };
  }

  async function conclude(
    attempt: Attempt,
    answer: TokenAnswer,
    sent: Secret,
    triesAnother: boolean,
  ): Promise<RefreshReport> {
    const { grantId, clientId } = attempt;
    switch (answer.kind) {
      case 'tokens':
        return await commit(attempt, answer, sent);
      case 'not_sent':
        return await notSent(attempt, answer.detail, backOffMs(times, attempt.failures + 1));
      case 'unknown':
        await recordEnd(attempt, { outcome: 'unknown', detail: answer.detail, nextInMs: null });
        onEvent({ type: 'refresh_unknown', grantId, detail: answer.detail });
        return { kind: 'unknown', detail: answer.detail };
      case 'server': {
        // Capped: a date in Retry-After is read against another clock.
        const forMs = Math.min(
          Math.max(backOffMs(times, attempt.failures + 1), answer.retryAfterMs ?? 0),
          times.longestBackOffMs,
        );
        await recordEnd(attempt, { outcome: 'unknown', detail: `server: ${answer.status}`, nextInMs: forMs });
        onEvent({ type: 'refresh_unknown', grantId, detail: `server: ${answer.status}` });
        if (answer.status === 429) {
          await soon(pauseClient(db, clientId, forMs));
          onEvent({ type: 'client_paused', grantId, clientId, forMs });
        }
        return { kind: 'unknown', detail: `server: ${answer.status}` };
      }
      case 'application':
        return await applicationRefused(attempt, answer.code, triesAnother);
      case 'grant': {
        const judged = await record(attempt, () => judgeRefusal(db, attempt, answer.code, times));
        onEvent({ type: 'refresh_refused', grantId, detail: answer.code });
        if (judged.kind === 'suspect') onEvent({ type: 'grant_suspect', grantId, reason: judged.reason });
        if (judged.kind === 'dead') onEvent({ type: 'grant_dead', grantId, reason: judged.reason });
        return { kind: 'refused', dead: judged.kind === 'dead' ? judged.reason : null };
      }
      default:
        return answer satisfies never;
    }
  }

  /** Steps 2 to 7 under a lease that is held. */
  async function send(
    attempt: Attempt,
    client: ZoomClient,
    secret: Secret,
    triesAnother: boolean,
  ): Promise<RefreshReport> {
    const { grantId } = attempt;
    const place = {
      table: 'grants',
      column: 'sealed_refresh',
      id: grantId,
      clientId: attempt.clientId,
      version: attempt.version,
    } as const;
    const opened = attempt.sealedRefresh === null ? null : vault.open(attempt.sealedRefresh, place);
    if (!opened?.ok) {
      const detail = opened ? `vault_unreadable: ${opened.reason}` : 'no_refresh_token';
      if (opened)
        onEvent({ type: 'vault_unreadable', grantId, detail: `${opened.reason} (key ${opened.keyId ?? 'unknown'})` });
      return await notSent(attempt, detail, applicationRetryMs);
    }
    const sinceAsked = startElapsed();
    const leftMs = await soon(findLeaseLeftMs(db, attempt));
    await onCrashPoint('before_send');
    if (leftMs === null) return await notSent(attempt, 'lease_lost', 0);
    if (leftMs - sinceAsked() < times.httpMs) return await notSent(attempt, 'paused', 0);
    // From here on detached: no abort reaches the request, and shutdown waits for it.
    const answer = await oauth
      .refresh(client, secret, opened.secret)
      .catch((): TokenAnswer => ({ kind: 'unknown', detail: 'client failed' }));
    await onCrashPoint('answered');
    const report = await conclude(
      attempt,
      answer,
      opened.secret,
      triesAnother && answer.kind === 'application' && isAboutCredentials(answer.code),
    );
    if (answer.kind === 'tokens' || answer.kind === 'grant') {
      clients.worked(client, secret);
      // Not closed is safe: the next one probes again.
      if (attempt.probe) await soon(closeBreaker(db, attempt.clientId)).catch(() => {});
    }
    return report;
  }

  /** One refresh, with the next client secret if Zoom does not know this one. Rejects only if the database is away. */
  return async function refresh(
    grantId: string,
    version: number,
    clientId: string,
    cause: RefreshCause,
  ): Promise<RefreshReport> {
    const client = clients.find(clientId);
    if (!client) return { kind: 'not_sent', detail: 'client_not_configured' };
    const secrets = clients.inOrder(client);
    let probe = false;
    for (const [at, secret] of secrets.entries()) {
      await deps.pacer.take(clientId, cause === 'second_look' || cause === 'release' ? 'background' : 'caller');
      // One that is acquired after all sends nothing: its attempt stays open until its time is up.
      const acquired: Acquired = await soon(
        acquireAttempt(db, { grantId, version, cause, holder: deps.holder, times, probe }),
      );
      if (!acquired.ok) return { kind: 'not_acquired', reason: acquired.reason };
      await onCrashPoint('acquired');
      probe = acquired.attempt.probe;
      const triesAnother = at + 1 < secrets.length;
      const report = await send(acquired.attempt, client, secret, triesAnother);
      if (report.kind !== 'application' || !triesAnother || !isAboutCredentials(report.code)) return report;
    }
    return { kind: 'not_sent', detail: 'client_not_configured' };
  };
}
