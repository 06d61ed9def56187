import { z } from 'zod';
import { defineJob } from './contract/define-job.ts';
import type { JobDefinition } from './contract/definition.ts';
import { exponential } from './contract/retry.ts';
import { settleLook } from './contract/settle-look.ts';

type VerifyPayload =
  | { connectionId: string }
  | { candidateId: string }
  | { consentId: string }
  | { grantId: string; probe?: true };

/**
 * Looks at Zoom whether the one who connected still may what we need: for a connection (schedule, hint, deadline,
 * demand), for a candidate on its way to become one, for a member's own consent, or for a grant alone (second look, a hint, or its end).
 */
export const verifyAdminRole: JobDefinition<VerifyPayload> = defineJob<VerifyPayload>({
  name: 'verify-admin-role',
  queue: 'zoom',
  version: 1,
  payload: z.union([
    z.strictObject({ connectionId: z.guid() }),
    z.strictObject({ candidateId: z.guid() }),
    z.strictObject({ consentId: z.guid() }),
    z.strictObject({ grantId: z.guid(), probe: z.literal(true).exactOptional() }),
  ]),
  attempts: 8,
  retry: exponential({ firstMs: 2_000, capMs: 60_000 }),
  timeoutMs: 2 * 60_000,
  unique: (payload) => Object.values(payload)[0] as string,
  async handler(payload, { services, signal, enqueue }) {
    const look =
      'connectionId' in payload
        ? await services.verifyConnection(payload.connectionId, { signal })
        : 'candidateId' in payload
          ? await services.advanceCandidate(payload.candidateId, { signal })
          : 'consentId' in payload
            ? await services.identifyConsent(payload.consentId)
            : await services.lookAtGrant(payload.grantId, { signal, probe: payload.probe ?? false });
    return settleLook(look, () => enqueue(verifyAdminRole, payload));
  },
});
