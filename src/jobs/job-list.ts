import type { AnyJobDefinition } from './contract/definition.ts';
import { disconnectOrganization } from './disconnect-organization.ts';
import { reconcileDue } from './reconcile-due.ts';
import { reconcileEventType } from './reconcile-event-type.ts';
import { reconcileMember } from './reconcile-member.ts';
import { reconcileOrganization } from './reconcile-organization.ts';
import { syncZoomDirectory } from './sync-zoom-directory.ts';
import { verifyAdminRole } from './verify-admin-role.ts';

/** Every job there is. A test checks that each file of this folder is in it. */
export const jobList: readonly AnyJobDefinition[] = Object.freeze([
  verifyAdminRole,
  syncZoomDirectory,
  reconcileOrganization,
  reconcileMember,
  reconcileEventType,
  disconnectOrganization,
  reconcileDue,
]);
