import { z } from 'zod';
import { advance, type RunPayload } from './contract/advance.ts';
import { defineJob } from './contract/define-job.ts';
import type { JobDefinition } from './contract/definition.ts';
import { exponential } from './contract/retry.ts';

/** The next slice of a cascade; after the last one the disconnect is finished and the grant goes. */
export const disconnectOrganization: JobDefinition<RunPayload> = defineJob({
  name: 'disconnect-organization',
  queue: 'bulk',
  version: 1,
  payload: z.strictObject({ organizationId: z.guid(), runId: z.guid() }),
  attempts: 20,
  retry: exponential({ firstMs: 200, capMs: 30_000 }),
  timeoutMs: 2 * 60_000,
  unique: (payload) => payload.runId,
  handler: (payload, context) =>
    advance(disconnectOrganization, payload, context, () => context.services.finishDisconnect(payload.organizationId)),
});
