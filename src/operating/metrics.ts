import { collectDefaultMetrics, Registry } from 'prom-client';
import type { QueueName } from '../jobs/contract/definition.ts';
import type { QueueDepth } from '../queues/queue.ts';
import type { Telemetry } from '../telemetry.ts';
import { countEvents } from './count-events.ts';
import type { Drift, FleetFacts } from './fleet-facts.ts';
import { createMetricList, type MetricList } from './metric-list.ts';

/** What a process that has the queue says of it. */
export type QueueReading = { readonly queue: QueueName; readonly depth: QueueDepth; readonly oldestAgeMs: number };

/** Where the numbers of the whole installation come from; each may fail. */
export type MetricSources = {
  readonly fleet: () => Promise<FleetFacts>;
  readonly drift: () => Promise<Drift>;
  readonly queues: () => Promise<readonly QueueReading[]>;
};

export type Metrics = {
  /** the page, in Prometheus' text format; what a failed source says is left out, never shown as it was */
  page(sources: MetricSources): Promise<{ readonly contentType: string; readonly text: string }>;
  /** names of all metrics there are */
  names(): readonly string[];
  /** adds Node's own process_ and nodejs_ metrics: once a process */
  withProcessMetrics(): void;
  stop(): void;
};

const switchNames = ['pause_all', 'pause_writes', 'pause_zoom', 'pause_declaring', 'observe_only'];
const states = ['none', 'pending', 'active', 'interrupted', 'disconnecting'];

function showFleet(metrics: MetricList, facts: FleetFacts): void {
  for (const state of states) metrics.connections.set({ state }, facts.connections[state] ?? 0);
  for (const [which, seconds] of Object.entries(facts.verify))
    if (seconds !== null) metrics.verifyAge.set({ which }, Number(seconds));
  metrics.outboxUnsent.set(Number(facts.outbox.unsent));
  metrics.outboxOldestAge.set(Number(facts.outbox.oldestAge));
  metrics.eventsUntaken.set(Number(facts.events.untaken));
  metrics.eventsOldestAge.set(Math.max(Number(facts.events.oldestAge), Number(facts.events.oldestBatchAge)));
  for (const name of switchNames) metrics.switches.set({ switch: name }, facts.switches.includes(name) ? 1 : 0);
  metrics.applicationsRefused.set(facts.applicationsRefused.length);
  metrics.grantsUnreadable.set(facts.grantsUnreadable);
  metrics.runsStuck.set(facts.runsStuck);
}

function showQueues(metrics: MetricList, readings: readonly QueueReading[]): void {
  for (const { queue, depth, oldestAgeMs } of readings) {
    for (const [state, n] of Object.entries(depth)) metrics.queueDepth.set({ queue, state }, n);
    metrics.queueOldestAge.set({ queue }, oldestAgeMs / 1_000);
  }
}

/** Counts the events of this process and shows them, with what the installation says of itself when asked. */
export function createMetrics(telemetry: Telemetry): Metrics {
  const registry = new Registry();
  const metrics = createMetricList(registry);
  const stop = countEvents(telemetry, metrics);
  const installation = [
    metrics.connections,
    metrics.verifyAge,
    metrics.outboxUnsent,
    metrics.outboxOldestAge,
    metrics.eventsUntaken,
    metrics.eventsOldestAge,
    metrics.switches,
    metrics.applicationsRefused,
    metrics.grantsUnreadable,
    metrics.runsStuck,
    metrics.driftMembers,
    metrics.queueDepth,
    metrics.queueOldestAge,
  ];
  const forget = (): void => {
    for (const gauge of installation) gauge.reset();
    // Without labels a gauge starts again at 0, which would say that all is well.
    for (const gauge of [
      metrics.outboxUnsent,
      metrics.outboxOldestAge,
      metrics.eventsUntaken,
      metrics.eventsOldestAge,
      metrics.applicationsRefused,
      metrics.grantsUnreadable,
      metrics.runsStuck,
    ])
      gauge.remove();
  };
  const write = async ({ fleet, drift, queues }: MetricSources): Promise<{ contentType: string; text: string }> => {
    const [facts, drifted, readings] = await Promise.allSettled([fleet(), drift(), queues()]);
    forget();
    if (facts.status === 'fulfilled') showFleet(metrics, facts.value);
    if (drifted.status === 'fulfilled')
      for (const [category, n] of Object.entries(drifted.value)) metrics.driftMembers.set({ category }, n);
    if (readings.status === 'fulfilled') showQueues(metrics, readings.value);
    return { contentType: registry.contentType, text: await registry.metrics() };
  };
  let writing: ReturnType<typeof write> | undefined;
  return {
    page(sources) {
      // Two that ask at once get one page: the second would empty the gauges of the first.
      writing ??= write(sources).finally(() => {
        writing = undefined;
      });
      return writing;
    },
    names: () => registry.getMetricsAsArray().map(({ name }) => name),
    withProcessMetrics: () => collectDefaultMetrics({ register: registry }),
    stop,
  };
}
