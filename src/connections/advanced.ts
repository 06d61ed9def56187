import type { ConfirmReason } from './confirmation-rule.ts';

/** How far a candidate came. */
export type Advanced =
  /** look again after retryInMs: Zoom or the directory walk did not answer yet */
  | {
      readonly state: 'waiting';
      readonly on: 'zoom' | 'directory' | 'identity';
      readonly reason: string;
      readonly retryInMs: number;
    }
  | { readonly state: 'failed'; readonly missing: readonly string[] }
  | { readonly state: 'awaiting_confirmation'; readonly reason: ConfirmReason }
  | { readonly state: 'active'; readonly runId: string; readonly generation: number }
  /** adopted, cancelled, expired or superseded meanwhile: nothing to do */
  | { readonly state: 'ended' };
