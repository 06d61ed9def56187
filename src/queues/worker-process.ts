import type { JobDeps } from '../jobs/contract/definition.ts';
import { type QueueName, queueNames } from '../jobs/contract/definition.ts';
import { createReleaseStack } from '../release-stack.ts';
import type { Telemetry } from '../telemetry.ts';
import type { EventCourier } from './event-courier.ts';
import type { OutboxRelay } from './outbox-relay.ts';
import { createProcess } from './process-delivery.ts';
import type { QueueConsumer, QueueSystem } from './queue.ts';
import type { Switches } from './switches.ts';
import type { Ticker } from './ticker.ts';

export type OrphanedJob = {
  readonly queue: QueueName;
  readonly id: string;
  readonly name: string;
  readonly key: string;
};

/** How a worker ended: orphans did not stop in time; their locks expire and they go on elsewhere. */
export type StopResult = { readonly orphans: readonly OrphanedJob[]; readonly failures: readonly string[] };

export type WorkerProcess = {
  /** Resolves when it is ready: checks passed, jobs taken. Throws one sentence otherwise, and holds nothing open. */
  start(): Promise<void>;
  /** Quiet, drain, abort, close. Idempotent: a second call gets the same promise. */
  stop(): Promise<StopResult>;
  /** Gives up waiting: what is at work is orphaned now. */
  force(): void;
  state(): 'new' | 'starting' | 'ready' | 'stopping' | 'stopped';
};

/** What runs beside the jobs, from ready to quiet: the watchdog, the sign of life. */
export type Companion = { start(): void; stop(): Promise<void> };

/** The queue of a worker that is ready, and what it does with it. */
export type RunningQueues = {
  readonly queue: QueueSystem;
  readonly lanes: readonly { readonly queue: QueueName; readonly slots: number; active(): number }[];
};

export type WorkerProcessDeps = {
  readonly queue: QueueSystem;
  readonly relay: OutboxRelay;
  readonly courier: EventCourier;
  readonly ticker: Ticker;
  readonly switches: Switches;
  readonly telemetry: Telemetry;
  readonly jobDeps: JobDeps;
  readonly concurrency: Readonly<Record<QueueName, number>>;
  /** each throws one sentence that says what to do */
  readonly preflight: readonly (() => Promise<void>)[];
  /** waits for refreshes on the wire, which nothing may abort */
  readonly settle: () => Promise<void>;
  /** closes what the process was given, last of all */
  readonly close: () => Promise<void>;
  readonly companions?: (running: RunningQueues) => readonly Companion[];
  /** from stop() to giving up */
  readonly shutdownMs: number;
  /** how long jobs at work may go on before they are told to stop */
  readonly drainMs?: number;
};

// A slice lasts a second: most of what is at work ends by itself in this time and is not told anything.
const usualDrainMs = 1_500;

const after = (ms: number): { promise: Promise<'late'>; cancel: () => void } => {
  let timer: NodeJS.Timeout | undefined;
  const promise = new Promise<'late'>((resolve) => {
    timer = setTimeout(() => resolve('late'), Math.max(0, ms));
  });
  return { promise, cancel: () => clearTimeout(timer) };
};

async function within(ms: number, work: Promise<unknown>, forced: Promise<'late'>): Promise<boolean> {
  const timer = after(ms);
  try {
    return (await Promise.race([work, timer.promise, forced])) !== 'late';
  } finally {
    timer.cancel();
  }
}

/** A process that relays the outbox, works on the queues and ticks, until it is stopped. */
export function createWorkerProcess(deps: WorkerProcessDeps): WorkerProcess {
  const { telemetry } = deps;
  const stack = createReleaseStack();
  const consumers: QueueConsumer[] = [];
  const companions: Companion[] = [];
  let state: ReturnType<WorkerProcess['state']> = 'new';
  let stopping: Promise<StopResult> | undefined;
  let giveUp: (late: 'late') => void = () => {};
  const forced = new Promise<'late'>((resolve) => {
    giveUp = resolve;
  });

  const atWork = (): OrphanedJob[] =>
    consumers.flatMap((consumer) => consumer.active().map((job) => ({ queue: consumer.queue, ...job })));

  const stop = async (): Promise<StopResult> => {
    const deadline = performance.now() + deps.shutdownMs;
    const left = (): number => deadline - performance.now();
    state = 'stopping';
    telemetry.emit('worker_state', { state: 'quiet' });
    const quiet = Promise.all([
      ...consumers.map((consumer) => consumer.quiet()),
      deps.ticker.stop(),
      deps.relay.stop(),
      deps.courier.stop(),
      ...companions.map((companion) => companion.stop()),
    ]);
    await within(left(), quiet, forced);
    telemetry.emit('worker_state', { state: 'draining' });
    const idle = (): Promise<unknown> => Promise.all(consumers.map((consumer) => consumer.idle()));
    if (!(await within(Math.min(deps.drainMs ?? usualDrainMs, left()), idle(), forced))) {
      telemetry.emit('worker_state', { state: 'aborting', detail: `${atWork().length} jobs` });
      for (const consumer of consumers) consumer.abort('shutdown');
      await within(left(), idle(), forced);
    }
    const orphans = atWork();
    await within(left(), deps.settle(), forced);
    const failures = await closeAll(orphans.length > 0, Math.max(left(), 1_000));
    state = 'stopped';
    telemetry.emit('worker_state', {
      state: 'stopped',
      ...(orphans.length > 0 ? { detail: `${orphans.length} orphaned` } : {}),
    });
    return { orphans, failures };
  };

  const closeAll = async (force: boolean, ms: number): Promise<string[]> => {
    forceClose = force;
    const timer = after(ms);
    const failures = await Promise.race([stack.release(), timer.promise]);
    timer.cancel();
    return failures === 'late'
      ? ['closing took too long']
      : failures.map(({ name, error }) => `${name}: ${String(error)}`);
  };
  let forceClose = false;

  return {
    state: () => state,
    async start() {
      if (state !== 'new') throw new Error(`A worker process starts once; this one is ${state}`);
      state = 'starting';
      telemetry.emit('worker_state', { state: 'starting' });
      stack.add('deps', deps.close);
      try {
        stack.add('queue', () => deps.queue.close());
        for (const check of deps.preflight) await check();
        const process = createProcess({ deps: deps.jobDeps, switches: deps.switches, telemetry });
        for (const queue of queueNames) {
          const consumer = deps.queue.consume({ queue, concurrency: deps.concurrency[queue], process });
          consumers.push(consumer);
          stack.add(`consumer ${queue}`, () => consumer.close(forceClose));
        }
        await Promise.all(consumers.map((consumer) => consumer.ready()));
        deps.relay.start();
        deps.courier.start();
        deps.ticker.start();
        const lanes = consumers.map(({ queue, active }) => ({
          queue,
          slots: deps.concurrency[queue],
          active: () => active().length,
        }));
        companions.push(...(deps.companions?.({ queue: deps.queue, lanes }) ?? []));
        for (const companion of companions) companion.start();
      } catch (error) {
        await closeAll(true, 5_000);
        state = 'stopped';
        throw error;
      }
      state = 'ready';
      telemetry.emit('worker_state', { state: 'ready' });
    },
    stop: () => (stopping ??= stop()),
    force: () => giveUp('late'),
  };
}
