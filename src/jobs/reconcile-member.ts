import { z } from 'zod';
import { defineJob } from './contract/define-job.ts';
import { exponential } from './contract/retry.ts';
import { settleSingle } from './contract/settle-single.ts';
import { syncZoomDirectory } from './sync-zoom-directory.ts';

/**
 * "Look at this member": a joiner, a personal connection that came or went, an opt-out, a new address. Who is
 * `checking` afterwards is looked up at Zoom, singly.
 */
export const reconcileMember = defineJob({
  name: 'reconcile-member',
  queue: 'quick',
  version: 1,
  payload: z.strictObject({ memberId: z.guid() }),
  attempts: 12,
  retry: exponential({ firstMs: 200, capMs: 60_000 }),
  timeoutMs: 60_000,
  unique: (payload) => payload.memberId,
  async handler({ memberId }, { services, enqueue }) {
    const result = await services.reconcileMember(memberId, { cause: 'member_changed', actor: 'app' });
    const zoomAccountId = await services.findLookup(memberId);
    if (zoomAccountId !== null) await enqueue(syncZoomDirectory, { zoomAccountId, memberId });
    return settleSingle(result);
  },
});
