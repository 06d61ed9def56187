const perSecond = 10;

export type PacerPriority = 'caller' | 'background';

export type Pacer = {
  /** Resolves when this client id may send; callers who wait go before background work. */
  take(clientId: string, priority: PacerPriority): Promise<void>;
};

/** Spaces the refreshes of this process, per client id: 10 a second unless said otherwise (lifecycle §3). */
export function createPacer({ everyMs = 1000 / perSecond }: { everyMs?: number } = {}): Pacer {
  const lanes = new Map<
    string,
    { freeAt: number; caller: (() => void)[]; background: (() => void)[]; timer: boolean }
  >();
  return {
    async take(clientId, priority) {
      const lane = lanes.get(clientId) ?? { freeAt: 0, caller: [], background: [], timer: false };
      lanes.set(clientId, lane);
      const turn = (): void => {
        lane.timer = false;
        const next = lane.caller.shift() ?? lane.background.shift();
        if (!next) return;
        lane.freeAt = performance.now() + everyMs;
        next();
        if (lane.caller.length + lane.background.length > 0) {
          lane.timer = true;
          setTimeout(turn, everyMs);
        }
      };
      const { promise, resolve } = Promise.withResolvers<void>();
      lane[priority].push(resolve);
      if (!lane.timer) {
        lane.timer = true;
        setTimeout(turn, Math.max(0, lane.freeAt - performance.now()));
      }
      await promise;
    },
  };
}
