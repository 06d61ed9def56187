import type { ConsentPage } from '../connections/personal/answer-consent.ts';

type PersonalText = { readonly title: string; readonly text: string; readonly waits: boolean };

const shown = (title: string, text: string, waits = false): PersonalText => ({ title, text, waits });
const again = 'Go back to the product and connect again.';

const outcomes: Readonly<Record<string, PersonalText>> = {
  missing_scope: shown(
    'Something is missing',
    `Zoom let you approve, but without a permission that is needed: to read your user, or to make and change meetings. ${again}`,
  ),
  member_gone: shown('Nothing was connected', 'You are no longer a member of this organization.'),
  grant_ended: shown('Zoom has ended this approval', `Nothing was connected. ${again}`),
};

/** Whose Zoom it is, in words. */
const zoomUserOf = ({ zoomUserEmail }: Pick<ConsentPage, 'zoomUserEmail'>): string =>
  zoomUserEmail ?? 'a Zoom user whose address Zoom does not name';

/** What the page of a member's consent says, for each of its states. */
export function explainConsent(consent: ConsentPage): PersonalText {
  switch (consent.state) {
    case 'open':
    case 'started':
      return shown('Connect your own Zoom', 'Nobody has come back from Zoom yet.');
    case 'returned':
    case 'exchanged':
      return shown('Checking with Zoom', 'This takes a few seconds.', true);
    case 'asking':
      return shown(
        'Is this your Zoom?',
        `You approved as ${zoomUserOf(consent)}, and your address here is ${consent.memberEmail ?? 'unknown'}.`,
      );
    case 'done':
      return shown('Connected', `You now host with the Zoom of ${zoomUserOf(consent)}. You can close this page.`);
    case 'denied':
      return shown('Not connected', `Nothing was connected, and what you approved was given up. ${again}`);
    case 'failed':
      return outcomes[consent.outcome ?? ''] ?? shown('Nothing was connected', again);
    case 'expired':
      return shown('This took too long', `Nothing was connected. ${again}`);
    case 'void':
      return shown('You began anew elsewhere', 'Only the newest attempt counts.');
    default:
      return consent.state satisfies never;
  }
}
