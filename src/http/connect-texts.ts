import type { BeginResult } from '../connections/attempts.ts';
import type { CallbackRefusal } from '../connections/consume-state.ts';
import type { BeginConsent } from '../connections/personal/begin-consent.ts';
import type { LinkProgress } from '../connections/show-link.ts';

type Explanation = { readonly title: string; readonly text: string; readonly status: number };

const again = 'The link still works: open it again and press the button.';

type Refusal =
  | CallbackRefusal
  | Extract<BeginResult, { kind: 'refused' }>['why']
  | Extract<BeginConsent, { kind: 'refused' }>['why'];

const refusals: Readonly<Record<Refusal, Explanation>> = {
  link_not_found: { status: 404, title: 'This link is not valid', text: 'Ask the person who sent it for a new one.' },
  link_not_open: {
    status: 410,
    title: 'This link has ended',
    text: 'Ask an owner or admin of the organization for a new one.',
  },
  consent_not_open: {
    status: 410,
    title: 'This page was used or has ended',
    text: 'Go back to the product and connect again.',
  },
  too_many_attempts: { status: 429, title: 'This link was tried ten times', text: 'Ask for a new one.' },
  attempt_returning: {
    status: 409,
    title: 'An attempt is just being finished',
    text: 'Wait a moment and open the link again.',
  },
  issuer_lost_rights: {
    status: 409,
    title: 'The link passed to another owner',
    text: 'Whoever asked for it is no longer an owner or admin. Open the link again: it now stands in an owner’s name.',
  },
  organization_gone: { status: 410, title: 'The organization is gone', text: 'There is nothing to connect any more.' },
  plan_without_zoom: {
    status: 409,
    title: 'The plan does not include Zoom',
    text: 'An owner can change the plan; the link works afterwards.',
  },
  no_state: {
    status: 400,
    title: 'Zoom brought you here without our request',
    text: 'Nothing was connected. That happens when the app is added in Zoom’s Marketplace. Please open the connect link that you were sent.',
  },
  unknown_state: {
    status: 400,
    title: 'We do not know this request',
    text: 'Nothing was connected. Please open the connect link that you were sent.',
  },
  already_used: {
    status: 409,
    title: 'This answer was already used',
    text: 'Each approval counts once. If you are not sure whether it worked, open the link again.',
  },
  attempt_expired: { status: 410, title: 'This took more than an hour', text: again },
  attempt_void: {
    status: 409,
    title: 'Another attempt was begun meanwhile',
    text: 'Only the newest one counts. Please finish that one, or open the link again.',
  },
  other_browser: {
    status: 400,
    title: 'This came back in another browser',
    text: `For your safety nothing was connected. ${again}`,
  },
  denied: { status: 200, title: 'You declined at Zoom', text: `Nothing was connected. ${again}` },
  refused_by_zoom: {
    status: 200,
    title: 'Zoom refused',
    text: `Nothing was connected. A Zoom admin must approve. ${again}`,
  },
  malformed: { status: 400, title: 'Zoom’s answer was not complete', text: `Nothing was connected. ${again}` },
  verifier_unreadable: {
    status: 503,
    title: 'We could not finish',
    text: `This is our fault, and our operators know. ${again}`,
  },
  code_refused: {
    status: 200,
    title: 'Zoom did not accept its own answer',
    text: `The approval was too old or used before. ${again}`,
  },
  application_error: {
    status: 503,
    title: 'Zoom does not accept our application just now',
    text: 'This is our fault, not yours; our operators know. Please try again later.',
  },
  answer_unknown: {
    status: 503,
    title: 'Zoom did not answer',
    text: `We do not know whether the approval arrived. ${again}`,
  },
};

/** What to tell the person whose link or callback was refused, and how to go on. */
export function explainRefusal(why: keyof typeof refusals): Explanation {
  return refusals[why];
}

export type VerdictExplanation = {
  readonly title: string;
  readonly text: string;
  readonly missing: readonly string[];
  readonly waits: boolean;
};

const shown = (title: string, text: string, waits = false, missing: readonly string[] = []): VerdictExplanation => ({
  title,
  text,
  missing,
  waits,
});

type CandidateState =
  | 'exchanged'
  | 'unidentified'
  | 'verifying'
  | 'waiting'
  | 'awaiting_confirmation'
  | 'adopted'
  | 'failed'
  | 'expired'
  | 'cancelled'
  | 'superseded';

/** How the link goes on after an approval that came to nothing. */
const goOn = (linkOpen: boolean): string =>
  linkOpen
    ? 'The link still works: ask for what is missing and open it again, or pass it on to another Zoom admin.'
    : 'The link has ended; ask an owner or admin of the organization for a new one.';

/** What the page says to the Zoom admin who approved. */
export function explainVerdict({
  state,
  verdict,
  linkOpen,
}: {
  state: CandidateState;
  verdict: unknown;
  linkOpen: boolean;
}): VerdictExplanation {
  const missing = (verdict as { missing?: readonly string[] } | null)?.missing ?? [];
  switch (state) {
    case 'exchanged':
    case 'unidentified':
    case 'verifying':
      return shown('Checking with Zoom', 'This takes a few seconds.', true);
    case 'waiting':
      return shown(
        'Zoom does not answer yet',
        'We keep what you approved and try again for 24 hours. You may close this page.',
        true,
      );
    case 'awaiting_confirmation':
      return shown(
        'Approved',
        'An owner or admin of the organization now confirms that this is their Zoom account. You are done here.',
      );
    case 'adopted':
      return shown(
        'Connected',
        'Every member without a Zoom of their own now uses your organization’s. You can close this page.',
      );
    case 'failed':
      if (missing.some((item) => item.startsWith('access: ')))
        return shown('Zoom has ended this approval', `Nothing was connected through it. ${goOn(linkOpen)}`);
      return shown(
        'Something is missing',
        `Zoom let you approve, but what was approved does not suffice. ${goOn(linkOpen)} Missing:`,
        false,
        missing,
      );
    case 'expired':
      return shown(
        'This approval has expired',
        `Zoom did not answer for 24 hours, or nobody of the organization confirmed it for 72. ${goOn(linkOpen)}`,
      );
    case 'cancelled':
      return shown('This was cancelled', 'The link was withdrawn or the organization disconnected.');
    case 'superseded':
      return shown('A newer approval took its place', 'Nothing more to do here.');
    default:
      return state satisfies never;
  }
}

/** How far a link is, in a few words. */
export function explainProgress(progress: LinkProgress): string {
  switch (progress.step) {
    case 'ready':
      return 'nobody has begun';
    case 'waiting_for_zoom_admin':
      return 'waiting for a Zoom admin';
    case 'attempt_ended':
      return 'an attempt ended without a connection; another may begin';
    case 'checking':
      return 'an approval is being checked with Zoom';
    case 'failed':
      return `the last approval lacked: ${progress.missing.join(', ')}`;
    case 'awaiting_confirmation':
      return 'approved; an owner or admin must confirm';
    case 'connected':
      return 'connected';
    case 'ended':
      return `the last approval is ${progress.state}`;
    default:
      return progress satisfies never;
  }
}
