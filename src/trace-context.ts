import {
  type Context,
  context,
  createContextKey,
  type Link,
  propagation,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api';

/** W3C trace context (https://www.w3.org/TR/trace-context/) as outbox rows and jobs carry it. */
export type TraceCarrier = {
  readonly traceparent: string;
  readonly tracestate?: string;
  /** said by a job, which may say thousands: whoever is begun by it is linked and no child */
  readonly link?: true;
};

const insideJob = createContextKey('zoom-steward: inside a job');
const traceparent = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/;
const longestState = 512;
/** Messages that were merged into one job may be thousands; so many of them are shown. */
const mostLinks = 32;

/** What is under way in this instant, to be carried to whoever goes on with it; null without tracing. */
export function currentTrace(): TraceCarrier | null {
  const active = context.active();
  const found: { traceparent?: string; tracestate?: string } = {};
  propagation.inject(active, found);
  if (found.traceparent === undefined) return null;
  return {
    traceparent: found.traceparent,
    ...(found.tracestate === undefined ? {} : { tracestate: found.tracestate }),
    ...(active.getValue(insideJob) === true ? { link: true } : {}),
  };
}

/** Carriers of a stored value – one, several, or whatever somebody wrote in SQL; what is none is left out. */
export function readTraces(stored: unknown): readonly TraceCarrier[] {
  const list = Array.isArray(stored) ? stored : [stored];
  return list
    .filter((one): one is TraceCarrier => traceparent.test((one as TraceCarrier | null)?.traceparent ?? ''))
    .slice(0, mostLinks)
    .map(({ traceparent, tracestate, link }) => ({
      traceparent,
      ...(typeof tracestate === 'string' && tracestate.length <= longestState ? { tracestate } : {}),
      ...(link === true ? { link } : {}),
    }));
}

const extract = (carrier: TraceCarrier): Context => propagation.extract(ROOT_CONTEXT, carrier);

/** One message, said outside of jobs, is continued in its trace; everything else begins its own and links. */
function origin(carriers: readonly TraceCarrier[]): { parent: Context; links: Link[] } {
  const [only, ...others] = carriers;
  if (only !== undefined && others.length === 0 && only.link !== true) return { parent: extract(only), links: [] };
  const links = carriers.flatMap((carrier) => {
    const found = trace.getSpanContext(extract(carrier));
    return found === undefined ? [] : [{ context: found }];
  });
  return { parent: ROOT_CONTEXT, links };
}

export type TracedJob = {
  readonly queue: string;
  readonly name: string;
  readonly id: string;
  readonly attempt: number;
  readonly traces: readonly TraceCarrier[];
};

/**
 * Runs a job in a span `job NAME`: child of the transaction that said it, or linked to all that did. Costs nothing
 * where no OpenTelemetry SDK was registered. `describe` gives outcome and error of the result.
 */
export async function traceJob<T>(
  job: TracedJob,
  work: () => Promise<T>,
  describe: (result: T) => { readonly outcome: string; readonly failed: boolean; readonly detail?: string },
): Promise<T> {
  const { parent, links } = origin(job.traces);
  const tracer = trace.getTracer('zoom-steward');
  const attributes = {
    'messaging.system': 'zoom-steward',
    'messaging.operation.type': 'process',
    'messaging.destination.name': job.queue,
    'messaging.message.id': job.id,
    'steward.job': job.name,
    'steward.attempt': job.attempt,
  };
  const span = tracer.startSpan(`job ${job.name}`, { kind: SpanKind.CONSUMER, attributes, links }, parent);
  try {
    const result = await context.with(trace.setSpan(parent, span).setValue(insideJob, true), work);
    const { outcome, failed, detail } = describe(result);
    span.setAttribute('steward.outcome', outcome);
    if (failed) span.setStatus({ code: SpanStatusCode.ERROR, ...(detail === undefined ? {} : { message: detail }) });
    return result;
  } catch (error) {
    span.setStatus({ code: SpanStatusCode.ERROR });
    throw error;
  } finally {
    span.end();
  }
}

/** Ids of the span under way, for log lines; nothing without tracing. */
export function traceFields(): { readonly traceId?: string; readonly spanId?: string } {
  const active = trace.getSpanContext(context.active());
  return active === undefined ? {} : { traceId: active.traceId, spanId: active.spanId };
}

/** Sends what is buffered, where an SDK was registered that can: before the process ends. */
export async function flushTraces(): Promise<void> {
  const proxy = trace.getTracerProvider() as { getDelegate?(): unknown };
  const provider = (proxy.getDelegate?.() ?? proxy) as { forceFlush?(): Promise<void> };
  await provider.forceFlush?.();
}
