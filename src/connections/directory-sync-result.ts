import type { ConnectionDeps } from './connection-deps.ts';

/** What the directory calls need. */
export type DirectoryDeps = Pick<ConnectionDeps, 'db' | 'grants' | 'api' | 'vault'>;

/** How a slice of a directory walk ended. */
export type DirectorySync =
  | { readonly state: 'done'; readonly users: number; readonly changed: number; readonly runs: number }
  /** the slice is over, or Zoom wanted the walk begun anew: call again at once */
  | { readonly state: 'more'; readonly pages: number }
  /** the walk that was asked for has been made meanwhile */
  | { readonly state: 'walked' }
  /** somebody else walks this account */
  | { readonly state: 'busy' }
  /** Zoom's limit: nobody calls for this account before */
  | { readonly state: 'blocked'; readonly retryInMs: number }
  /** our share of the day's calls is used: walks wait for the next UTC day, nobody else does */
  | { readonly state: 'daily_limit'; readonly retryInMs: number }
  /** the walk lost too many matched users: the copy stays as it was */
  | { readonly state: 'refused'; readonly matched: number; readonly lost: number }
  | { readonly state: 'failed'; readonly reason: string; readonly retryable: boolean }
  /** no connection or candidate of ours lives on this account */
  | { readonly state: 'unused' };
