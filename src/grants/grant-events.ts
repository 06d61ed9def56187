import type { DeadReason } from './grant-repository.ts';

/** What happens to grants, for logs and metrics. No event holds a token. */
export type GrantEvent = { readonly grantId: string } & (
  | { readonly type: 'refresh_rotated'; readonly version: number; readonly recovery: boolean; readonly stale: boolean }
  | { readonly type: 'refresh_not_sent'; readonly detail: string }
  | { readonly type: 'refresh_unknown'; readonly detail: string }
  | { readonly type: 'refresh_refused'; readonly detail: string }
  | { readonly type: 'refresh_token_missing' }
  | { readonly type: 'grant_suspect'; readonly reason: DeadReason }
  | { readonly type: 'grant_dead'; readonly reason: DeadReason }
  | { readonly type: 'grant_lives_again' }
  | { readonly type: 'api_url_not_followed'; readonly apiUrl: string }
  | { readonly type: 'scopes_shrank'; readonly missing: readonly string[] }
  | { readonly type: 'vault_unreadable'; readonly detail: string }
  | {
      readonly type: 'application_refused';
      readonly clientId: string;
      readonly code: string;
      readonly breakerOpened: boolean;
    }
  | { readonly type: 'client_paused'; readonly clientId: string; readonly forMs: number }
  | { readonly type: 'database_away'; readonly holdingPair: boolean; readonly error: unknown }
  | { readonly type: 'journal_failed'; readonly error: unknown }
  | { readonly type: 'journal_replayed'; readonly outcome: string }
  | { readonly type: 'versions_went_back'; readonly known: number; readonly version: number }
  | { readonly type: 'grant_released'; readonly outcome: string }
);

/** Receives grant events; what it throws is ignored, so that telling never stops a refresh. */
export type OnGrantEvent = (event: GrantEvent) => void;
