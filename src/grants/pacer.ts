import type { TakeSlot } from './client-state-repository.ts';

export type PacerPriority = 'caller' | 'background';

export type Pacer = {
  /** Resolves when this client id may send; callers who wait go before background work. */
  take(clientId: string, priority: PacerPriority): Promise<void>;
};

/** A second look that waited so long takes its turn among the callers: a busy day must not put it off for ever. */
const patientMs = 30_000;

type Lane = {
  readonly caller: (() => void)[];
  readonly background: { since: number; go: () => void }[];
  busy: boolean;
};

const sleep = (ms: number): Promise<void> => new Promise((resolve) => void setTimeout(resolve, ms));

/**
 * Lets refreshes go one by one, per client id (lifecycle §3). `takeSlot` spaces them over all processes: a caller's turn
 * is reserved there and comes, background work goes only while no turn is reserved, and asks again.
 */
export function createPacer({ takeSlot }: { readonly takeSlot: TakeSlot }): Pacer {
  const lanes = new Map<string, Lane>();

  async function drive(clientId: string, lane: Lane): Promise<void> {
    lane.busy = true;
    try {
      while (lane.caller.length + lane.background.length > 0) {
        const waitsMs = performance.now() - (lane.background[0]?.since ?? Number.POSITIVE_INFINITY);
        const reserve = lane.caller.length > 0 || waitsMs > patientMs;
        // Not spaced is better than not refreshed: whoever comes next needs the database as well, and says what it lacks.
        const slot = await takeSlot(clientId, reserve).catch(() => ({ taken: true, waitMs: 0 }));
        if (slot.waitMs > 0) await sleep(slot.waitMs);
        if (!slot.taken) continue;
        if (waitsMs > patientMs) lane.background.shift()?.go();
        else (lane.caller.shift() ?? lane.background.shift()?.go)?.();
      }
    } finally {
      lane.busy = false;
    }
  }

  return {
    take(clientId, priority) {
      const lane = lanes.get(clientId) ?? { caller: [], background: [], busy: false };
      lanes.set(clientId, lane);
      const { promise, resolve } = Promise.withResolvers<void>();
      if (priority === 'caller') lane.caller.push(resolve);
      else lane.background.push({ since: performance.now(), go: resolve });
      if (!lane.busy) void drive(clientId, lane);
      return promise;
    },
  };
}
