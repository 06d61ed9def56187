import type { Transaction } from 'kysely';
import type { DB } from '../db/schema.ts';
import { applyTransition } from './apply-transition.ts';

/**
 * Takes a pending connection back when its last link ended and no candidate is open; call it after ending either.
 * In every other state, and while something is open, nothing changes.
 */
export async function settlePending(trx: Transaction<DB>, connectionId: string): Promise<void> {
  await applyTransition(trx, { connectionId, event: 'last_link_ended', actor: 'schedule' });
}
