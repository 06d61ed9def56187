import { z } from 'zod';
import { advance, type RunPayload } from './contract/advance.ts';
import { defineJob } from './contract/define-job.ts';
import type { JobDefinition } from './contract/definition.ts';
import { lookAtOrganization } from './contract/look-at-organization.ts';
import { exponential } from './contract/retry.ts';

/**
 * With a run: the next slice of it. Without: "look at this organization", which starts a run. Two keys, so
 * that a look never swallows a hand-over, nor the other way round.
 */
export const reconcileOrganization: JobDefinition<{ organizationId: string; runId?: string }> = defineJob({
  name: 'reconcile-organization',
  queue: 'bulk',
  version: 1,
  payload: z.strictObject({ organizationId: z.guid(), runId: z.guid().exactOptional() }),
  attempts: 12,
  retry: exponential({ firstMs: 200, capMs: 30_000 }),
  timeoutMs: 2 * 60_000,
  unique: (payload) => payload.runId ?? payload.organizationId,
  handler: ({ organizationId, runId }, context) =>
    runId === undefined
      ? lookAtOrganization(context.db, organizationId)
      : advance(reconcileOrganization as JobDefinition<RunPayload>, { organizationId, runId }, context),
});
