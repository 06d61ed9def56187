import type { Secret } from '../../secret.ts';
import { activatePersonal, lockPersonal } from '../personal-connections.ts';
import { hashSecret } from '../random-secret.ts';
import { type ConsentState, endConsent, lockConsent, type PersonalDeps } from './consents.ts';

/** What the page of a consent shows, to the browser in which it was given. */
export type ConsentPage = {
  readonly id: string;
  readonly state: ConsentState;
  readonly outcome: string | null;
  /** the Zoom user's address, if Zoom named it */
  readonly zoomUserEmail: string | null;
  readonly memberEmail: string | null;
};

const pageOf = ({ db }: Pick<PersonalDeps, 'db'>) =>
  db
    .selectFrom('steward.personal_consents as c')
    .leftJoin('steward_app.members as m', 'm.id', 'c.member_id')
    .select(['c.id', 'c.state', 'c.outcome', 'c.zoom_user_email as zoomUserEmail', 'm.email as memberEmail']);

/** The page behind a member's link; undefined: no such link. Changes nothing. */
export const showConsentLink = (deps: Pick<PersonalDeps, 'db'>, token: Secret): Promise<ConsentPage | undefined> =>
  pageOf(deps).where('c.token_hash', '=', hashSecret(token)).executeTakeFirst();

/** A consent, for the browser in which it was given and nobody else. */
export const showConsent = (
  deps: Pick<PersonalDeps, 'db'>,
  consentId: string,
  browser: Secret,
): Promise<ConsentPage | undefined> =>
  pageOf(deps).where('c.id', '=', consentId).where('c.browser_hash', '=', hashSecret(browser)).executeTakeFirst();

/**
 * The member says whether the Zoom user with another address is theirs: yes makes it their connection, no lets it go.
 * Saying it twice, or too late, changes nothing; the page shows what it is by now.
 */
export async function answerConsent(
  deps: Pick<PersonalDeps, 'db'>,
  answer: { readonly consentId: string; readonly browser: Secret; readonly yes: boolean },
): Promise<void> {
  await deps.db.transaction().execute(async (trx) => {
    const consent = await lockConsent(trx, { id: answer.consentId });
    if (!consent?.browser_hash?.equals(hashSecret(answer.browser))) return;
    if (consent.state !== 'asking' || consent.grant_id === null || consent.expired) return;
    const { member_id: memberId, grant_id: grantId } = consent;
    const actor = `member:${memberId}` as const;
    await lockPersonal(trx, memberId);
    const member = await trx
      .selectFrom('steward_app.members')
      .select('id')
      .where('id', '=', memberId)
      .where('active', '=', true)
      .executeTakeFirst();
    const grant = await trx.selectFrom('steward.grants').select('state').where('id', '=', grantId).executeTakeFirst();
    const usable = grant?.state === 'living' || grant?.state === 'suspect';
    if (!answer.yes || !member || !usable) {
      const outcome = !answer.yes ? 'not_theirs' : member ? 'grant_ended' : 'member_gone';
      await endConsent(trx, consent, { state: answer.yes ? 'failed' : 'denied', outcome, actor });
      return;
    }
    await activatePersonal(trx, { memberId, grantId, actor });
    await endConsent(trx, consent, { state: 'done', outcome: 'connected', actor });
  });
}
