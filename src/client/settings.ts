import { type ActingMember, type Calls, organizationPath } from './calls.ts';
import type { DisconnectPreview } from './connection.ts';

/** Settings of an organization: who is served, and what happens when. */
export type OrganizationSettings = {
  readonly allowOptOut: boolean;
  readonly zoomForNewEventTypes: boolean;
  readonly meetingSummary: boolean;
  readonly rollout: 'all' | 'groups' | 'domains';
  readonly rolloutGroups: readonly string[];
  readonly rolloutDomains: readonly string[];
  readonly fallbackLocation: { readonly kind: string; readonly details?: Readonly<Record<string, unknown>> } | null;
  /** Zoom user who hosts for members without one */
  readonly sharedHost: string | null;
  /** null: an interruption never ends in a disconnect */
  readonly reconnectDays: number | null;
  readonly archiveDays: number;
};

/** The client's `settings`. */
export const createSettings = (calls: Calls) => ({
  /** Settings of an organization; one that never changed any has the defaults. */
  read: (input: { organizationId: string }): Promise<OrganizationSettings> =>
    calls.get(input.organizationId, 'settings'),
  /** What they would be, and what that would take from whom, without changing anything. */
  preview: (input: {
    organizationId: string;
    changes: Partial<OrganizationSettings>;
  }): Promise<{ settings: OrganizationSettings; needsConfirmation: boolean; preview: DisconnectPreview }> =>
    calls.request({
      method: 'POST',
      path: organizationPath(input.organizationId, 'settings/preview'),
      body: input.changes,
    }),
  /** An owner or admin changes some; what may take Zoom from somebody needs the preview's generation and the name. */
  change: (input: {
    by: ActingMember;
    changes: Partial<OrganizationSettings>;
    generation?: number;
    organizationName?: string;
  }): Promise<{ settings: OrganizationSettings; changed: string[]; generation: number; runId: string | null }> => {
    const { by, ...body } = input;
    return calls.as(by, 'settings', body, 'PATCH');
  },
});
