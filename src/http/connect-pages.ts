import type { FastifyInstance } from 'fastify';
import { sql } from 'kysely';
import { callbackPath } from '../compose.ts';
import { beginAttempt } from '../connections/attempts.ts';
import type { ConnectionDeps } from '../connections/connection-deps.ts';
import { finishAttempt } from '../connections/finish-attempt.ts';
import { personalDepsOf } from '../connections/personal/consents.ts';
import { finishConsent } from '../connections/personal/finish-consent.ts';
import { hashSecret } from '../connections/random-secret.ts';
import { showLink } from '../connections/show-link.ts';
import { Secret } from '../secret.ts';
import { createAttemptCookie } from './attempt-cookie.ts';
import { explainProgress, explainRefusal, explainVerdict } from './connect-texts.ts';
import { html } from './html.ts';
import { leadOn, sendNothing, sendPage } from './page.ts';
import { consentOutcomeUrl } from './personal-pages.ts';

const verdictRefreshSeconds = 2;

export type ConnectPagesOptions = {
  readonly deps: ConnectionDeps;
  /** public base URL; its scheme decides about the cookie */
  readonly publicUrl: string;
};

/** Address of a link's page. The token is in the path, which no referrer carries on. */
export function linkUrl(publicUrl: string, token: Secret): string {
  return `${publicUrl.replace(/\/$/, '')}/connect/${token.reveal()}`;
}

/**
 * The pages of connecting: the link (GET shows, POST begins, so that a mail scanner's prefetch begins nothing),
 * Zoom's callback, and the page that waits for the verdict. Bearer of the link is whoever has it.
 */
export function connectPages(app: FastifyInstance, { deps, publicUrl }: ConnectPagesOptions): void {
  const cookie = createAttemptCookie(publicUrl);
  const personal = personalDepsOf(deps);

  app.get<{ Params: { token: string } }>('/connect/:token', async (request, reply) => {
    const link = await showLink(deps.db, new Secret(request.params.token));
    if (!link) {
      return sendPage(reply, {
        title: 'This link is not valid',
        status: 404,
        body: html`<p>Ask the person who sent it for a new one.</p>`,
      });
    }
    if (link.state !== 'open') {
      return sendPage(reply, {
        title: `This link is ${link.state}`,
        status: link.state === 'completed' ? 200 : 410,
        body: html`<p>${link.state === 'completed' ? 'Zoom was connected through it.' : 'Ask an owner or admin for a new one.'}</p>`,
      });
    }
    // Nothing that the organization can choose is shown: whoever is asked to approve must not be misled by a name.
    return sendPage(reply, {
      title: 'Connect your organization’s Zoom',
      leadsTo: deps.endpoints.authorizeUrl,
      body: html`
<dl>
  <dt>Verified domains</dt><dd>${link.verifiedDomains.length > 0 ? link.verifiedDomains.join(', ') : 'none'}</dd>
  <dt>Asked for by</dt><dd>${link.byOperator ? 'an operator of this service' : (link.issuerAddress ?? 'a member without a verified address')}</dd>
  <dt>Valid until</dt><dd>${link.expiresAt.toISOString().slice(0, 16).replace('T', ' ')} UTC</dd>
  <dt>So far</dt><dd>${explainProgress(link.progress)}</dd>
</dl>
<p>A Zoom admin must approve. Afterwards every member without a Zoom of their own hosts through your Zoom account;
personal Zoom connections stay as they are. An owner can disconnect at any time.</p>
<p class="note">Not a Zoom admin? Zoom would refuse you on its own site and not bring you back. Pass this page’s address on
to one; it keeps working.</p>
<form method="post"><button type="submit">Continue to Zoom</button></form>`,
    });
  });

  app.post<{ Params: { token: string } }>('/connect/:token', async (request, reply) => {
    const begun = await beginAttempt(deps, { token: new Secret(request.params.token), browser: cookie.read(request) });
    if (begun.kind === 'refused') {
      const { title, text, status } = explainRefusal(begun.why);
      return sendPage(reply, { title, status, body: html`<p>${text}</p>` });
    }
    cookie.set(reply, begun.browser);
    return leadOn(reply, begun.authorizeUrl);
  });

  app.get(callbackPath, async (request, reply) => {
    const params = new URL(request.url, publicUrl).searchParams;
    const browser = cookie.read(request);
    // Both apps come back to one address; the state says whose consent it was.
    const own = personal && (await finishConsent(personal, { params, browser }));
    const finished = own ?? (await finishAttempt(deps, { params, browser }));
    if (finished.kind === 'refused') {
      const { title, text, status } = explainRefusal(finished.why);
      // A member's own consent is begun in the product, and once.
      const goOn = own ? 'Nothing was connected. Go back to the product and connect again.' : text;
      return sendPage(reply, { title, status, body: html`<p>${goOn}</p>` });
    }
    return leadOn(
      reply,
      'consentId' in finished
        ? consentOutcomeUrl(publicUrl, finished.consentId)
        : `${publicUrl.replace(/\/$/, '')}/connect/verdict/${finished.candidateId}`,
    );
  });

  app.get<{ Params: { candidateId: string } }>('/connect/verdict/:candidateId', async (request, reply) => {
    const browser = cookie.read(request);
    const candidate =
      /^[0-9a-f-]{36}$/.test(request.params.candidateId) && browser
        ? await findCandidate(deps, request.params.candidateId, browser)
        : undefined;
    if (!candidate) return sendNothing(reply);
    const { title, text, missing, waits } = explainVerdict(candidate);
    return sendPage(reply, {
      title,
      ...(waits ? { refreshSeconds: verdictRefreshSeconds } : {}),
      body: html`<p>${text}</p>${missing.length > 0 && html`<ul>${missing.map((item) => html`<li>${item}</li>`)}</ul>`}`,
    });
  });
}

/** The candidate, for the browser that brought it and nobody else. */
async function findCandidate(deps: ConnectionDeps, candidateId: string, browser: Secret) {
  return deps.db
    .selectFrom('steward.candidates as c')
    .innerJoin('steward.connect_attempts as a', 'a.id', 'c.attempt_id')
    .leftJoin('steward.connect_links as l', 'l.id', 'c.link_id')
    .select(['c.state', 'c.verdict'])
    .select(sql<boolean>`coalesce(l.state = 'open' and l.expires_at > steward.now(), false)`.as('linkOpen'))
    .where('c.id', '=', candidateId)
    .where('a.browser_hash', '=', hashSecret(browser))
    .executeTakeFirst();
}
