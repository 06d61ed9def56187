import { type Kysely, sql } from 'kysely';
import { insertAudit } from '../db/audit-repository.ts';
import type { DB } from '../db/schema.ts';
import { upsertSwitch } from '../db/switch-repository.ts';
import type { OnGrantEvent } from './grant-events.ts';
import { findGrantView, type GrantView } from './grant-view.ts';

const advice = 'the database went back in time: say "vault rewound --to TIME", then "resume declaring"';

/**
 * Reads grants and notices when the version of one goes backwards: then the database was put back to an earlier time,
 * pairs exchanged since are spent and look revoked. Nobody is declared until an operator has said what happened.
 */
export function createWatchedView({ db, onEvent }: { readonly db: Kysely<DB>; readonly onEvent: OnGrantEvent }) {
  const newest = new Map<string, number>();

  async function hold(grantId: string, known: number, version: number): Promise<void> {
    onEvent({ type: 'versions_went_back', grantId, known, version });
    await db.transaction().execute(async (trx) => {
      const { rows } = await sql`
        select from steward.installation where key = 'vault.rewound' and updated_at > steward.now() - interval '1 day'`.execute(
        trx,
      );
      if (rows.length > 0) return;
      const fresh = await upsertSwitch(trx, { name: 'pause_declaring', reason: advice, actor: 'schedule' });
      const facts = {
        action: 'vault.went_back',
        reason: advice,
        subjectId: grantId,
        data: { known, version },
      } as const;
      if (fresh) await insertAudit(trx, { organizationId: null, actor: 'schedule', ...facts });
    });
  }

  return async function findWatchedView(grantId: string): Promise<GrantView | undefined> {
    // Known before the read began: an answer that was overtaken by a newer one is no evidence.
    const known = newest.get(grantId);
    const view = await findGrantView(db, grantId);
    if (!view) return view;
    if (known !== undefined && view.version < known) {
      newest.set(grantId, view.version);
      await hold(grantId, known, view.version).catch((error: unknown) => {
        newest.set(grantId, known);
        onEvent({ type: 'database_away', grantId, holdingPair: false, error });
      });
    } else newest.set(grantId, Math.max(view.version, newest.get(grantId) ?? 0));
    return view;
  };
}
