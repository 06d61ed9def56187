import type { OnGrantEvent } from './grant-events.ts';
import type { GrantView } from './grant-view.ts';
import { persist } from './persist.ts';
import type { createRefresh, RefreshReport } from './refresh.ts';
import type { RefreshCause } from './refresh-attempt-repository.ts';

export type DetachedRefreshes = {
  /**
   * Starts a refresh, or joins the one of this process for this grant and version. It belongs to nobody: whoever
   * waits may go away. Null once the process shuts down.
   */
  start(view: Pick<GrantView, 'id' | 'version' | 'clientId'>, cause: RefreshCause): Promise<RefreshReport> | null;
  /**
   * Stores what Zoom gave once, repeated until it succeeds; whoever settles waits for it. The write must be fit to be
   * done twice, also at once.
   * @param id what the pair belongs to, for the log
   */
  keep<T>(id: string, write: () => Promise<T>): Promise<T>;
  /** Resolves when none is running. */
  settle(): Promise<void>;
  /** No more are started. */
  quiet(): void;
};

/** The refreshes under way in this process. */
export function createDetachedRefreshes(
  refresh: ReturnType<typeof createRefresh>,
  { onEvent }: { onEvent: OnGrantEvent },
): DetachedRefreshes {
  const running = new Map<string, Promise<RefreshReport>>();
  const writing = new Set<Promise<unknown>>();
  let quiet = false;
  return {
    start(view, cause) {
      const key = `${view.id}:${view.version}`;
      const joined = running.get(key);
      if (joined) return joined;
      if (quiet) return null;
      const started = refresh(view.id, view.version, view.clientId, cause).finally(() => running.delete(key));
      running.set(key, started);
      // Nobody may be waiting any more when it fails.
      started.catch((error: unknown) =>
        onEvent({ type: 'database_away', grantId: view.id, holdingPair: false, error }),
      );
      return started;
    },
    keep(id, write) {
      const onFailure = (error: unknown): void =>
        onEvent({ type: 'database_away', grantId: id, holdingPair: true, error });
      const kept = persist(write, { onFailure }).finally(() => writing.delete(kept));
      writing.add(kept);
      return kept;
    },
    async settle() {
      while (running.size + writing.size > 0) await Promise.allSettled([...running.values(), ...writing]);
    },
    quiet() {
      quiet = true;
    },
  };
}
