import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createBrowser } from '../../src/demo/browser.ts';
import { html } from '../../src/http/html.ts';
import { useHttpStage } from './stage.ts';

const at = useHttpStage();
const newLink = async (): Promise<string> => (await (await at().client()).requestConnectLink({ by: at().owner })).url;

describe('the page of a link', () => {
  test('shows only what the organization cannot choose, and begins nothing', async () => {
    const url = await newLink();
    const page = await createBrowser().get(url);
    expect(page.status).toBe(200);
    expect(page.text).not.toContain('Sons');
    expect(page.text).toContain('http.example');
    expect(page.text).toContain('m0@http.example');
    const attempts = await at().services.db.selectFrom('steward.connect_attempts').select('id').execute();
    expect(attempts).toEqual([]);
  });

  test('cannot be framed, scripted, cached or leaked by a referrer', async () => {
    const answer = await fetch(await newLink());
    expect(answer.headers.get('content-security-policy')).toMatch(/default-src 'none'.*frame-ancestors 'none'/);
    // Browsers hold redirects of a form to it as well: Zoom, and whatever the customer signs in with there.
    expect(answer.headers.get('content-security-policy')).toContain(`form-action 'self' ${at().zoom.url} https:;`);
    expect(answer.headers.get('referrer-policy')).toBe('no-referrer');
    expect(answer.headers.get('cache-control')).toBe('no-store');
    expect(await answer.text()).not.toMatch(/<script/i);
  });

  test('of a link that does not exist says so', async () => {
    expect((await createBrowser().get(`${at().server.url}/connect/${'x'.repeat(43)}`)).status).toBe(404);
  });
});

describe('the callback', () => {
  test('without a state of ours exchanges nothing and explains', async () => {
    const before = at().zoom.ledger().length;
    const page = await createBrowser().get(`${at().server.url}/zoom/callback?code=abc`);
    expect(page.status).toBe(400);
    expect(page.text).toContain('Marketplace');
    expect(at().zoom.ledger().length).toBe(before);
  });

  test('in another browser connects nothing, and the link goes on working', async () => {
    const url = await newLink();
    const begun = await createBrowser().post(url);
    const decided = at().zoom.control.consent({ authorizeUrl: begun.location ?? '', user: 'zu_admin' });
    const stranger = await createBrowser().get(decided.kind === 'redirected' ? decided.location : '');
    expect([stranger.status, /another browser/.test(stranger.text)]).toEqual([400, true]);
    expect(
      at()
        .zoom.ledger()
        .filter((call) => call.endpoint.startsWith('oauth.exchange')),
    ).toEqual([]);
    expect((await createBrowser().post(url)).status).toBe(303);
  });

  test('leads to a page that waits for the verdict, for that browser only', async () => {
    const url = await newLink();
    const browser = createBrowser();
    const begun = await browser.post(url);
    const decided = at().zoom.control.consent({ authorizeUrl: begun.location ?? '', user: 'zu_admin' });
    const back = await browser.get(decided.kind === 'redirected' ? decided.location : '');
    expect(back.status).toBe(303);
    const verdict = new URL(back.location ?? '', at().server.url).href;
    expect((await browser.get(verdict)).text).toMatch(/Checking with Zoom|Approved/);
    expect((await createBrowser().get(verdict)).status).toBe(404);
  });
});

test('whatever is put into a template cannot leave its place', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const made = html`<p title="${text}">${text}</p>`.text;
      expect(made.slice('<p title="'.length, -'</p>'.length).replace('">', '')).not.toMatch(/[<>"']/);
    }),
  );
});
