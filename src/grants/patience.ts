export type Patience = {
  /** milliseconds left; 0 when it is over or the caller went away */
  leftMs(): number;
  readonly signal: AbortSignal;
  /** Resolves with the work or when patience is over, whichever is first; the work goes on. */
  during<T>(work: Promise<T>): Promise<T | undefined>;
  end(): void;
};

/** How long a caller waits. Its end and the caller's abort end the waiting only, never the refresh. */
export function startPatience(ms: number, abort?: AbortSignal): Patience {
  const from = performance.now();
  const over = new AbortController();
  const timer = setTimeout(() => over.abort(), ms);
  const signal = abort ? AbortSignal.any([over.signal, abort]) : over.signal;
  return {
    signal,
    leftMs: () => (signal.aborted ? 0 : Math.max(0, ms - (performance.now() - from))),
    async during(work) {
      if (signal.aborted) return undefined;
      const { promise, resolve } = Promise.withResolvers<undefined>();
      const stop = (): void => resolve(undefined);
      signal.addEventListener('abort', stop, { once: true });
      try {
        return await Promise.race([work, promise]);
      } finally {
        signal.removeEventListener('abort', stop);
      }
    },
    end: () => clearTimeout(timer),
  };
}
