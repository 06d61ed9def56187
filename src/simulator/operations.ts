import { type Answer, apiError } from './answers.ts';
import type { LedgerEntry } from './ledger.ts';
import type { ZoomRequest } from './request.ts';
import type { Toggles } from './toggles.ts';

export type Operations = {
  /** Notes an operation; an answer if another one on the same user or meeting is under way. */
  begin(
    request: Pick<ZoomRequest, 'method' | 'url' | 'entry'>,
    reading: Toggles['simultaneous_operations'],
  ): Answer | null;
};

/** Under way from arrival until the answer is about to be written, or nobody waits for it any more. */
const isOver = ({ outcome, status }: LedgerEntry): boolean => outcome !== 'open' || status !== null;

/** A user or a meeting by the name the caller uses: an id and an address of one user are two names. */
const resourceOf = (path: string): string | null => /^\/v2\/((?:users|meetings)\/[^/]+)/.exec(path)?.[1] ?? null;

/** What writes to a user or a meeting and is not over. Zoom takes one at a time, and words its refusal like this. */
export function createOperations(): Operations {
  const last = new Map<string, LedgerEntry>();
  return {
    begin({ method, url, entry }, reading) {
      const resource = method === 'GET' ? null : resourceOf(url.pathname);
      if (resource === null) return null;
      const before = last.get(resource);
      if (reading === 'done' || before === undefined || isOver(before)) {
        last.set(resource, entry);
        return null;
      }
      // No headers: nothing is used up, and nobody knows how long the other one takes.
      return apiError(429, 429, 'Too many concurrent requests. A request for this resource has already been made.');
    },
  };
}
