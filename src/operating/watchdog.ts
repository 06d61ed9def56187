import type { QueueName } from '../jobs/contract/definition.ts';
import type { QueueDepth } from '../queues/queue.ts';
import type { Switches, SwitchName } from '../queues/switches.ts';
import type { Telemetry, TelemetryEvents } from '../telemetry.ts';

/** What the watchdog sees of one queue in this process. */
export type Lane = {
  readonly queue: QueueName;
  readonly slots: number;
  /** jobs at work here */
  active(): number;
};

export type Watchdog = {
  start(): void;
  stop(): Promise<void>;
  /** Looks once, now. */
  look(): Promise<void>;
};

export type WatchdogOptions = {
  readonly lanes: readonly Lane[];
  readonly depth: (queue: QueueName) => Promise<QueueDepth>;
  readonly switches: Switches;
  readonly telemetry: Telemetry;
  /** nothing started for so long, while it could have */
  readonly idleMs: number;
  readonly everyMs?: number;
  readonly onWedged: (diagnosis: TelemetryEvents['worker_wedged']) => void;
  /** milliseconds that only go forward */
  readonly clock?: () => number;
};

const pausedBy: Readonly<Record<QueueName, readonly SwitchName[]>> = {
  quick: ['pause_all'],
  bulk: ['pause_all'],
  zoom: ['pause_all', 'pause_zoom'],
};

/**
 * After a reconnection a BullMQ worker can sit idle and look healthy (taskforcesh/bullmq 2964, 2466, 3185). So: jobs
 * wait, slots are free, nothing is paused, and nothing starts for a while – then this process is of no use and says so
 * once. A queue that does not answer is no evidence: the doubt starts again when it does.
 */
export function createWatchdog({
  lanes,
  depth,
  switches,
  telemetry,
  idleMs,
  everyMs = Math.max(50, Math.min(5_000, idleMs / 4)),
  onWedged,
  clock = () => performance.now(),
}: WatchdogOptions): Watchdog {
  const doubtfulSince = new Map<QueueName, number>();
  let timer: NodeJS.Timeout | undefined;
  let looking: Promise<void> = Promise.resolve();
  let off = (): void => {};
  let stopped = false;
  let barked = false;

  const lookAt = async ({ queue, slots, active }: Lane): Promise<void> => {
    const clear = (): void => void doubtfulSince.delete(queue);
    try {
      for (const name of pausedBy[queue]) if (await switches.isOn(name)) return clear();
      if (active() >= slots) return clear();
      const { waiting } = await depth(queue);
      if (waiting === 0 || active() >= slots) return clear();
      const since = doubtfulSince.get(queue) ?? clock();
      doubtfulSince.set(queue, since);
      const idle = clock() - since;
      if (idle < idleMs || barked || stopped) return;
      barked = true;
      const diagnosis = { queue, waiting, active: active(), slots, idleMs: Math.round(idle) };
      telemetry.emit('worker_wedged', diagnosis);
      onWedged(diagnosis);
    } catch {
      clear();
    }
  };
  const look = async (): Promise<void> => {
    for (const lane of lanes) await lookAt(lane);
  };
  return {
    look,
    start() {
      off = telemetry.on('job_started', ({ queue }) => void doubtfulSince.delete(queue as QueueName));
      const next = (): void => {
        looking = look().then(() => {
          if (!stopped) timer = setTimeout(next, everyMs);
        });
      };
      next();
    },
    async stop() {
      stopped = true;
      off();
      clearTimeout(timer);
      await looking;
      clearTimeout(timer);
    },
  };
}
