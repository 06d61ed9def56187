import { z } from 'zod';
import { defineJob } from './contract/define-job.ts';
import { exponential } from './contract/retry.ts';
import { settleSingle } from './contract/settle-single.ts';

/** "Look at this event type": a new owner, other hosts, other locations. */
export const reconcileEventType = defineJob({
  name: 'reconcile-event-type',
  queue: 'quick',
  version: 1,
  payload: z.strictObject({ eventTypeId: z.guid() }),
  attempts: 12,
  retry: exponential({ firstMs: 200, capMs: 60_000 }),
  timeoutMs: 60_000,
  unique: (payload) => payload.eventTypeId,
  handler: async ({ eventTypeId }, { services }) =>
    settleSingle(await services.reconcileEventType(eventTypeId, { cause: 'event_type_changed', actor: 'app' })),
});
