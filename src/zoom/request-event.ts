/** One request to Zoom, for metrics and logs; holds no path, no id and no token. */
export type ZoomRequestEvent = {
  /** a name of ours, e.g. `oauth.refresh` or `users.list`: bounded, fit for a label */
  readonly endpoint: string;
  /** `ok`, or what it failed of */
  readonly outcome: string;
  readonly status: number | null;
  readonly ms: number;
  /** how long Zoom asked us to wait, milliseconds */
  readonly retryAfterMs: number | null;
};

export type OnZoomRequest = (event: ZoomRequestEvent) => void;

/** Tells the listener, if there is one, and survives it. */
export function tellRequest(listener: OnZoomRequest | undefined, event: ZoomRequestEvent): void {
  try {
    listener?.(event);
  } catch {
    // A broken listener must not break what it watches.
  }
}
