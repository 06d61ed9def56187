import { StewardError } from '../errors.ts';
import type { Secret } from '../secret.ts';
import type { ClientSecrets } from './client-secrets.ts';
import { decideToken, type TokenWish, type Unavailable } from './decide.ts';
import type { DetachedRefreshes } from './detached-refreshes.ts';
import type { OnGrantEvent } from './grant-events.ts';
import type { DeadReason } from './grant-repository.ts';
import type { GrantView } from './grant-view.ts';
import { type Patience, startPatience } from './patience.ts';
import type { RefreshTimes } from './refresh-times.ts';
import type { Vault } from './vault.ts';
import type { Wake } from './wake.ts';

export type AccessTokenResult =
  | {
      readonly kind: 'token';
      readonly token: Secret;
      readonly apiBase: string;
      readonly scopes: readonly string[];
      /** changes with the token: say which one Zoom refused */
      readonly version: number;
    }
  /** nothing is known against the grant: try again later */
  | { readonly kind: 'temporarily_unavailable'; readonly reason: Unavailable }
  | { readonly kind: 'dead'; readonly reason: DeadReason | 'retiring' | 'gone' }
  /** our key ring does not open the row: an operator's matter, never a dead grant */
  | { readonly kind: 'vault_unreadable' };

export type AccessTokenOptions = Partial<TokenWish> & {
  /** how long to wait for a refresh, in milliseconds */
  readonly patienceMs?: number;
  /** ends the waiting, not the refresh */
  readonly signal?: AbortSignal;
};

/** A grant's row is read within the caller's patience; who has none still gets what is at hand. */
const leastReadMs = 1_000;

export type AccessTokenDeps = {
  find(grantId: string): Promise<GrantView | undefined>;
  readonly vault: Vault;
  readonly clients: ClientSecrets;
  readonly refreshes: DetachedRefreshes;
  readonly wake: Wake;
  readonly times: RefreshTimes;
  readonly onEvent: OnGrantEvent;
};

/** Hands out access tokens: from the row while there is time left on it, else after one refresh, whoever does it. */
export function createAccessToken(deps: AccessTokenDeps) {
  const { find, vault, times, wake, refreshes, onEvent } = deps;
  const refuse = (reason: Unavailable): AccessTokenResult => ({ kind: 'temporarily_unavailable', reason });

  function open(view: GrantView, column: 'sealed_access' | 'sealed_refresh'): Secret | null {
    const sealed = column === 'sealed_access' ? view.sealedAccess : view.sealedRefresh;
    const place = { table: 'grants', column, id: view.id, clientId: view.clientId, version: view.version } as const;
    const opened = vault.open(sealed ?? '', place);
    if (opened.ok) return opened.secret;
    onEvent({
      type: 'vault_unreadable',
      grantId: view.id,
      detail: `${opened.reason} (key ${opened.keyId ?? 'unknown'})`,
    });
    return null;
  }

  /** The row, or null if the database does not answer within the caller's patience. */
  async function read(grantId: string, patience: Patience): Promise<{ view: GrantView | undefined } | null> {
    const reading = startPatience(Math.max(patience.leftMs(), leastReadMs));
    try {
      const view = find(grantId);
      return (await reading.during(view.then((found) => ({ view: found })))) ?? null;
    } finally {
      reading.end();
    }
  }

  return async function accessToken(grantId: string, options: AccessTokenOptions = {}): Promise<AccessTokenResult> {
    const wish: TokenWish = { ...options, minLeftMs: options.minLeftMs ?? times.minLeftMs };
    const patience = startPatience(options.patienceMs ?? times.patienceMs, options.signal);
    const over = (reason: Unavailable): AccessTokenResult => refuse(options.signal?.aborted ? 'aborted' : reason);
    try {
      for (;;) {
        const found = await read(grantId, patience);
        if (!found) return over('patience_over');
        const { view } = found;
        if (!view) {
          throw new StewardError(
            'grant_unknown',
            `Expected a grant with id ${grantId}, found none; read the connection's grant again.`,
            {
              context: { grantId },
            },
          );
        }
        const step = decideToken(view, wish, times);
        switch (step.kind) {
          case 'use': {
            const token = open(view, 'sealed_access');
            if (!token) return { kind: 'vault_unreadable' };
            return { kind: 'token', token, apiBase: view.apiBase, scopes: view.scopes, version: view.version };
          }
          case 'dead':
            return { kind: 'dead', reason: step.reason };
          case 'refuse':
            return refuse(step.reason);
          case 'wait':
            if (patience.leftMs() <= step.forMs) return over(step.reason);
            await wake.wait(grantId, Math.min(times.pollMs, patience.leftMs()), patience.signal);
            break;
          case 'refresh': {
            if (!deps.clients.find(view.clientId)) return refuse('client_not_configured');
            if (!open(view, 'sealed_refresh')) return { kind: 'vault_unreadable' };
            if (patience.leftMs() === 0) return over('patience_over');
            const started = refreshes.start(view, step.cause);
            if (!started) return refuse('shutting_down');
            const report = await patience.during(started);
            // A retiring grant keeps its state: only the report says that Zoom refused it for good.
            if (report?.kind === 'refused' && report.dead) return { kind: 'dead', reason: report.dead };
            if (report?.kind === 'not_acquired') {
              if (report.reason === 'forced_recently') return refuse('token_refused');
              await wake.wait(grantId, Math.min(times.pollMs, patience.leftMs()), patience.signal);
            }
            break;
          }
          default:
            step satisfies never;
        }
      }
    } finally {
      patience.end();
    }
  };
}
