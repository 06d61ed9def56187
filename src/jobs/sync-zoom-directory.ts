import { z } from 'zod';
import { defineJob } from './contract/define-job.ts';
import type { JobDefinition } from './contract/definition.ts';
import { exponential } from './contract/retry.ts';
import { settleLook } from './contract/settle-look.ts';

/**
 * Walks the users of a Zoom account, paced to our share; the walk's place is in Postgres, so any worker goes on. With
 * a member: looks up that one only, so that a joiner does not wait for the next walk.
 */
export const syncZoomDirectory: JobDefinition<{ zoomAccountId: string; memberId?: string }> = defineJob({
  name: 'sync-zoom-directory',
  queue: 'zoom',
  version: 1,
  payload: z.strictObject({ zoomAccountId: z.string().min(1).max(200), memberId: z.guid().exactOptional() }),
  attempts: 8,
  retry: exponential({ firstMs: 2_000, capMs: 60_000 }),
  timeoutMs: 2 * 60_000,
  unique: (payload) => payload.memberId ?? payload.zoomAccountId,
  async handler(payload, { services, signal, enqueue }) {
    const { zoomAccountId, memberId } = payload;
    const look =
      memberId === undefined
        ? await services.syncDirectory(zoomAccountId, { signal })
        : await services.lookUpMember(zoomAccountId, memberId, { signal });
    return settleLook(look, () => enqueue(syncZoomDirectory, payload));
  },
});
