import { randomBytes } from 'node:crypto';
import type { FastifyReply } from 'fastify';
import { type Html, html } from './html.ts';

const style = `
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 40rem; margin: 3rem auto; padding: 0 1rem; color: #1a1a1a; background: #fff }
  h1 { font-size: 1.5rem } button { font: inherit; padding: .6rem 1.2rem; border: 0; border-radius: .4rem; background: #0b5cff; color: #fff; cursor: pointer }
  dt { font-weight: 600 } dd { margin: 0 0 .6rem } .note { border-left: 4px solid #ccc; padding-left: 1rem }`;

export type Page = {
  readonly title: string;
  readonly body: Html;
  readonly status?: number;
  /** reload after so many seconds, while something is being waited for */
  readonly refreshSeconds?: number;
  /**
   * where a form of it leads by redirects, e.g. Zoom's authorize URL, and from there to whatever the customer signs in
   * with: browsers that hold redirects to form-action would stop it otherwise
   */
  readonly leadsTo?: string;
};

/** Sends a page that frames, scripts and referrers cannot misuse; it is never cached. */
export function sendPage(reply: FastifyReply, page: Page): FastifyReply {
  const nonce = randomBytes(16).toString('base64');
  if (page.refreshSeconds !== undefined) reply.header('refresh', String(page.refreshSeconds));
  return reply
    .code(page.status ?? 200)
    .headers({
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': `default-src 'none'; style-src 'nonce-${nonce}'; form-action 'self'${page.leadsTo === undefined ? '' : ` ${new URL(page.leadsTo).origin} https:`}; frame-ancestors 'none'; base-uri 'none'`,
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
      'cache-control': 'no-store',
    })
    .send(
      html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta name="robots" content="noindex">
<title>${page.title}</title><style nonce="${nonce}">${rawStyle}</style></head>
<body><h1>${page.title}</h1>
${page.body}
</body></html>
`.text,
    );
}

/** Sends the browser on, with no referrer that would carry a token of the address, and nothing kept in a cache. */
export function leadOn(reply: FastifyReply, url: string): FastifyReply {
  return reply.header('referrer-policy', 'no-referrer').header('cache-control', 'no-store').redirect(url, 303);
}

/** For another browser than the one in which Zoom was approved, and for what does not exist: which of the two is not said. */
export function sendNothing(reply: FastifyReply): FastifyReply {
  return sendPage(reply, {
    title: 'Nothing to show here',
    status: 404,
    body: html`<p>This page belongs to the browser in which Zoom was approved.</p>`,
  });
}

const rawStyle = html([style] as unknown as TemplateStringsArray);
