import { z } from 'zod';
import { defineJob } from './contract/define-job.ts';
import type { JobDefinition } from './contract/definition.ts';
import { exponential } from './contract/retry.ts';
import { settleLook } from './contract/settle-look.ts';

/**
 * Walks the users of a Zoom account, paced to our share; the walk's place is in Postgres, so any worker goes on. With
 * a member: looks up that one only, so that a joiner does not wait for the next walk. With a Zoom user: asks about that
 * one, because a webhook hinted at it. `seen` is the copy that was too old for who asked: a later one is enough.
 */
export const syncZoomDirectory: JobDefinition<{
  zoomAccountId: string;
  memberId?: string;
  zoomUserId?: string;
  seen?: number | null;
}> = defineJob({
  name: 'sync-zoom-directory',
  queue: 'zoom',
  version: 1,
  payload: z.strictObject({
    zoomAccountId: z.string().min(1).max(200),
    memberId: z.guid().exactOptional(),
    zoomUserId: z.string().min(1).max(200).exactOptional(),
    seen: z.number().nullable().exactOptional(),
  }),
  attempts: 8,
  retry: exponential({ firstMs: 2_000, capMs: 60_000 }),
  timeoutMs: 2 * 60_000,
  unique: ({ zoomAccountId, memberId, zoomUserId }) =>
    memberId ?? (zoomUserId === undefined ? zoomAccountId : `${zoomAccountId}/${zoomUserId}`),
  async handler(payload, { services, signal, enqueue }) {
    const { zoomAccountId, memberId, zoomUserId, seen } = payload;
    const look =
      memberId !== undefined
        ? await services.lookUpMember(zoomAccountId, memberId, { signal })
        : zoomUserId !== undefined
          ? await services.lookAtZoomUser(zoomAccountId, zoomUserId, { signal })
          : await services.syncDirectory(zoomAccountId, { signal, ...(seen === undefined ? {} : { seen }) });
    return settleLook(look, () => enqueue(syncZoomDirectory, payload));
  },
});
