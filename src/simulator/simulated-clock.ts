/** The simulator's clock: real time, plus what was advanced. */
export type SimulatedClock = {
  /** milliseconds since the epoch by the simulator itself */
  nowMs(): number;
  /** moves the clock forward and returns the new time */
  advance(ms: number): number;
};

/** A clock that starts at real time and can only be moved forward. */
export function createSimulatedClock(): SimulatedClock {
  let offsetMs = 0;
  return {
    nowMs: () => Date.now() + offsetMs,
    advance(ms) {
      if (!Number.isFinite(ms) || ms < 0) throw new Error(`Expected milliseconds to go forward, got ${ms}`);
      offsetMs += ms;
      return Date.now() + offsetMs;
    },
  };
}

/** What `clock_skew` adds to every time Zoom tells. */
export const skewMs = { none: 0, ahead: 90_000, behind: -300_000 } as const;
