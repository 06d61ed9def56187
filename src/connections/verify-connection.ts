import type { ConnectionDeps } from './connection-deps.ts';
import { recordVerification } from './record-verification.ts';
import type { Verified } from './verified.ts';
import { findWatched, lookAtConnection, type VerifyOptions } from './watched-connection.ts';

/**
 * Verifies an org connection (behaviour §7): looks at Zoom, judges, and then – if the connection is still the one
 * that was looked at – writes what follows in one transaction. Inconclusive never changes a state.
 */
export async function verifyConnection(
  deps: ConnectionDeps,
  connectionId: string,
  options: VerifyOptions = {},
): Promise<Verified> {
  const watched = await findWatched(deps, connectionId);
  if (!watched) return { outcome: 'not_applicable' };
  const { verdict, facts } = await lookAtConnection(deps, watched, options);
  return deps.db.transaction().execute((trx) =>
    recordVerification(trx, watched, verdict, {
      actor: options.actor ?? 'schedule',
      vaultUnreadable: facts.grant.state === 'unavailable' && facts.grant.reason === 'vault_unreadable',
    }),
  );
}
