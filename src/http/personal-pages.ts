import type { FastifyInstance } from 'fastify';
import type { ConnectionDeps } from '../connections/connection-deps.ts';
import { answerConsent, showConsent, showConsentLink } from '../connections/personal/answer-consent.ts';
import { beginConsent } from '../connections/personal/begin-consent.ts';
import { type PersonalDeps, personalDepsOf } from '../connections/personal/consents.ts';
import { Secret } from '../secret.ts';
import { createAttemptCookie } from './attempt-cookie.ts';
import { explainRefusal } from './connect-texts.ts';
import { html } from './html.ts';
import { leadOn, sendNothing, sendPage } from './page.ts';
import { explainConsent } from './personal-texts.ts';

const refreshSeconds = 2;
const isId = (text: string): boolean => /^[0-9a-f-]{36}$/.test(text);

/** Address that the main app sends the member's browser to. */
export const consentUrl = (publicUrl: string, token: Secret): string =>
  `${publicUrl.replace(/\/$/, '')}/personal/${token.reveal()}`;

/** Address of the page that shows what became of it. */
export const consentOutcomeUrl = (publicUrl: string, consentId: string): string =>
  `${publicUrl.replace(/\/$/, '')}/personal/consents/${consentId}`;

/**
 * The pages of a member's own Zoom: GET shows for whom, POST begins; afterwards whose Zoom it is, and a question where the
 * address is not the member's. Without a personal app there are none.
 */
export function personalPages(
  app: FastifyInstance,
  { deps, publicUrl }: { readonly deps: ConnectionDeps; readonly publicUrl: string },
): void {
  const found = personalDepsOf(deps);
  if (found === null) return;
  const personal: PersonalDeps = found;
  const cookie = createAttemptCookie(publicUrl);

  app.get<{ Params: { token: string } }>('/personal/:token', async (request, reply) => {
    const consent = await showConsentLink(personal, new Secret(request.params.token));
    if (!consent) {
      const { title, status } = explainRefusal('link_not_found');
      return sendPage(reply, { title, status, body: html`<p>Go back to the product and connect again.</p>` });
    }
    const { title, text } = explainConsent(consent);
    const open = consent.state === 'open' || consent.state === 'started';
    return sendPage(reply, {
      title,
      leadsTo: personal.endpoints.authorizeUrl,
      body: open
        ? html`
<p>For the member with the address <b>${consent.memberEmail ?? 'unknown'}</b>: afterwards they host with the Zoom in which you
approve, not with their organization’s. It can be disconnected at any time.</p>
<p class="note">Is that not you? Then close this page: somebody else asked for it.</p>
<form method="post"><button type="submit">Continue to Zoom</button></form>`
        : html`<p>${text}</p>`,
    });
  });

  app.post<{ Params: { token: string } }>('/personal/:token', async (request, reply) => {
    const begun = await beginConsent(personal, {
      token: new Secret(request.params.token),
      browser: cookie.read(request),
    });
    if (begun.kind === 'refused') {
      const { title, text, status } = explainRefusal(begun.why);
      return sendPage(reply, { title, status, body: html`<p>${text}</p>` });
    }
    cookie.set(reply, begun.browser);
    return leadOn(reply, begun.authorizeUrl);
  });

  app.get<{ Params: { consentId: string } }>('/personal/consents/:consentId', async (request, reply) => {
    const browser = cookie.read(request);
    const { consentId } = request.params;
    const consent = isId(consentId) && browser ? await showConsent(personal, consentId, browser) : undefined;
    if (!consent) return sendNothing(reply);
    const { title, text, waits } = explainConsent(consent);
    return sendPage(reply, {
      title,
      ...(waits ? { refreshSeconds } : {}),
      body: html`<p>${text}</p>${
        consent.state === 'asking' &&
        html`
<form method="post" action="/personal/consents/${consent.id}/yes"><button type="submit">Yes, use it</button></form>
<form method="post" action="/personal/consents/${consent.id}/no"><button type="submit">No, give it up</button></form>`
      }`,
    });
  });

  for (const yes of [true, false]) {
    app.post<{ Params: { consentId: string } }>(
      `/personal/consents/:consentId/${yes ? 'yes' : 'no'}`,
      async (request, reply) => {
        const browser = cookie.read(request);
        const { consentId } = request.params;
        if (!isId(consentId) || !browser) return sendNothing(reply);
        await answerConsent(personal, { consentId, browser, yes });
        return reply.redirect(consentOutcomeUrl(publicUrl, consentId), 303);
      },
    );
  }
}
