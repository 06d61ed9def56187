import { context, propagation, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { sql } from 'kysely';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createSteward } from '../../src/client/index.ts';
import { insertOutbox } from '../../src/db/outbox-repository.ts';
import { createLogger } from '../../src/logger.ts';
import { migratePostgresQueue } from '../../src/queues/postgres-backend.ts';
import type { WorkerProcess } from '../../src/queues/worker-process.ts';
import { Secret } from '../../src/secret.ts';
import { readTraces } from '../../src/trace-context.ts';
import { useDatabase } from '../support/database.ts';
import { beginChain, chainWorker, createChainTable } from './chain.ts';
import { until } from './support.ts';

const database = useDatabase();
const exporter = new InMemorySpanExporter();
const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
const workers: WorkerProcess[] = [];
let prefixes = 0;

const log: string[] = [];
const logger = createLogger({ level: 'info', destination: { write: (line: string) => void log.push(line) } });

/** What an operator's SDK does when it is loaded before us (docs/operating.md). */
beforeAll(async () => {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  trace.setGlobalTracerProvider(provider);
  await migratePostgresQueue(new Secret(database.url));
  await createChainTable(database.db);
});
afterEach(async () => {
  for (const worker of workers.splice(0)) await worker.stop();
  exporter.reset();
});
afterAll(async () => {
  for (const api of [trace, context, propagation]) api.disable();
  await provider.shutdown();
});

async function work(over: Parameters<typeof chainWorker>[0]['over'] = {}): Promise<void> {
  prefixes += 1;
  const parts = { log: logger };
  const worker = chainWorker({ url: database.url, prefix: `tr${prefixes}`, sliceMs: 1, over, parts });
  workers.push(worker);
  await worker.start();
}

const spans = (name: string): ReadableSpan[] => exporter.getFinishedSpans().filter((span) => span.name === name);
const announce = <T>(what: () => Promise<T>): Promise<T> =>
  trace.getTracer('main app').startActiveSpan('save', async (span) => {
    try {
      return await what();
    } finally {
      span.end();
    }
  });
const linked = (span: ReadableSpan | undefined): (string | undefined)[] =>
  (span?.links ?? []).map((link) => link.context.spanId);

describe('a trace, from whoever announces through outbox and queue to the handler', () => {
  test('one message is a child of the transaction that said it; each slice after it is linked to the one before', async () => {
    await announce(() => beginChain(database.db, 3));
    await work();
    await until('three slices', () => spans('job reconcile-organization').length >= 3);
    const [save] = spans('save');
    const [first, second, third] = spans('job reconcile-organization');
    expect(first?.spanContext().traceId).toBe(save?.spanContext().traceId);
    expect(first?.parentSpanContext?.spanId).toBe(save?.spanContext().spanId);
    expect(first?.attributes).toMatchObject({ 'steward.job': 'reconcile-organization', 'steward.outcome': 'done' });
    for (const [before, after] of [
      [first, second],
      [second, third],
    ]) {
      expect(after?.parentSpanContext).toBeUndefined();
      expect(after?.spanContext().traceId).not.toBe(before?.spanContext().traceId);
      expect(linked(after)).toEqual([before?.spanContext().spanId]);
    }
  });

  test('messages that were merged into one job are all linked, and none is the parent', async () => {
    const said = { job: 'reconcile-member', key: 'm', payload: { memberId: '00000000-0000-4000-8000-000000000001' } };
    for (const _ of [1, 2]) await announce(() => database.db.transaction().execute((trx) => insertOutbox(trx, said)));
    await work();
    await until('the job', () => spans('job reconcile-member').length === 1);
    const [job] = spans('job reconcile-member');
    expect(job?.parentSpanContext).toBeUndefined();
    expect(linked(job)).toEqual(spans('save').map((save) => save.spanContext().spanId));
  });

  test('from any language by SQL, and by the client; log lines of a failure name the trace', async () => {
    const parent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const [bySql, byClient, notOne] = [1, 2, 3].map((n) => `00000000-0000-4000-8000-00000000000${n}`) as [
      string,
      string,
      string,
    ];
    await database.db.transaction().execute(async (trx) => {
      await sql`select set_config('steward.traceparent', ${parent}, true)`.execute(trx);
      await sql`select steward.changed('member', ${bySql}::uuid)`.execute(trx);
    });
    const client = createSteward({ db: database.db, traceparent: () => parent });
    await database.db.transaction().execute((trx) => client.memberChanged(trx, byClient));
    const odd = createSteward({ db: database.db, traceparent: () => `' or 1=1` });
    await database.db.transaction().execute((trx) => odd.memberChanged(trx, notOne));
    await work({
      reconcileMember: async (memberId) => {
        if (memberId === bySql) throw new Error('no');
        return { state: 'unchanged', counts: {} };
      },
    });
    await until('all three', () => spans('job reconcile-member').length >= 3);
    const traced = spans('job reconcile-member').filter((span) => span.spanContext().traceId === parent.slice(3, 35));
    expect(traced.map((span) => span.parentSpanContext?.spanId)).toEqual([parent.slice(36, 52), parent.slice(36, 52)]);
    expect(log.filter((line) => line.includes('a job failed')).map((line) => JSON.parse(line).traceId)).toContain(
      parent.slice(3, 35),
    );
  });
});

test('of what is stored only carriers are understood, and so many as are shown', () => {
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  expect(readTraces(null)).toEqual([]);
  expect(readTraces([{ traceparent: 'x' }, 7, { traceparent, tracestate: 'a=1', other: 1 }])).toEqual([
    { traceparent, tracestate: 'a=1' },
  ]);
  expect(readTraces({ traceparent, tracestate: 'x'.repeat(600) })).toEqual([{ traceparent }]);
  expect(readTraces(Array.from({ length: 100 }, () => ({ traceparent })))).toHaveLength(32);
});
