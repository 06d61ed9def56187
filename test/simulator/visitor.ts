import { createHash } from 'node:crypto';
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import type { Simulator } from '../../src/simulator/start-simulator.ts';

export type Reply = {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** the body as JSON, empty if it is none */
  readonly json: Record<string, unknown>;
};

type Sent = { readonly method?: string; readonly headers?: Record<string, string>; readonly body?: string };

/** One request on a connection of its own, with nothing added: a caller that shares no code with the real client. */
export function visit(url: string, { method = 'GET', headers = {}, body }: Sent = {}): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(url, { method, headers, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString('utf8');
        let json = {};
        try {
          json = JSON.parse(text) as Record<string, unknown>;
        } catch {
          // Pages and empty bodies are no JSON.
        }
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text, json });
      });
    });
    request.on('error', reject);
    request.end(body);
  });
}

export const verifier = 'v'.repeat(43);
export const challenge = createHash('sha256').update(verifier).digest('base64url');
export const callback = 'https://steward.test/callback';
export const admin = { clientId: 'sim_admin_app', secret: 'sim-admin-secret' };
export const personal = { clientId: 'sim_personal_app', secret: 'sim-personal-secret' };
export type Credentials = typeof admin;

export const basic = ({ clientId, secret }: Credentials): string =>
  `Basic ${Buffer.from(`${clientId}:${secret}`).toString('base64')}`;

export const authorizeUrl = (simulator: Simulator, app = admin, state = 'state-1'): string =>
  `${simulator.endpoints.authorizeUrl}?${new URLSearchParams({
    response_type: 'code',
    client_id: app.clientId,
    redirect_uri: callback,
    state,
    code_challenge: challenge,
    code_challenge_method: 'S256',
  })}`;

export const form = (app: Credentials, fields: Record<string, string>): Sent => ({
  method: 'POST',
  headers: { Authorization: basic(app), 'Content-Type': 'application/x-www-form-urlencoded' },
  body: new URLSearchParams(fields).toString(),
});

/** A code for this user's consent. */
export function codeFor(
  simulator: Simulator,
  user: string,
  app = admin,
  declinedScopes: readonly string[] = [],
): string {
  const result = simulator.control.consent({ authorizeUrl: authorizeUrl(simulator, app), user, declinedScopes });
  if (result.kind !== 'redirected') throw new Error(`Expected a redirect, got ${result.why}`);
  return new URL(result.location).searchParams.get('code') ?? '';
}

export const exchange = (simulator: Simulator, code: string, app = admin): Promise<Reply> =>
  visit(
    simulator.endpoints.tokenUrl,
    form(app, { grant_type: 'authorization_code', code, redirect_uri: callback, code_verifier: verifier }),
  );

export type Pair = { readonly access: string; readonly refresh: string };

export const pairIn = ({ status, json, text }: Reply): Pair => {
  if (typeof json['access_token'] !== 'string') throw new Error(`Expected tokens, got ${status} ${text}`);
  return { access: json['access_token'], refresh: String(json['refresh_token']) };
};

/** Consent and exchange. */
export const connect = async (
  simulator: Simulator,
  user = 'zu_admin',
  app = admin,
  declined: readonly string[] = [],
): Promise<Pair> => pairIn(await exchange(simulator, codeFor(simulator, user, app, declined), app));

export const refresh = (simulator: Simulator, token: string, app = admin): Promise<Reply> =>
  visit(simulator.endpoints.tokenUrl, form(app, { grant_type: 'refresh_token', refresh_token: token }));

export const revoke = (simulator: Simulator, token: string, app = admin): Promise<Reply> =>
  visit(simulator.endpoints.revokeUrl, form(app, { token }));

/** A call of the API, e.g. `GET /users/me`. */
export function call(
  simulator: Simulator,
  { access }: Pick<Pair, 'access'>,
  what: string,
  body?: unknown,
): Promise<Reply> {
  const [method = 'GET', path = ''] = what.split(' ');
  const json = body === undefined ? {} : { 'Content-Type': 'application/json' };
  return visit(`${simulator.url}/v2${path}`, {
    method,
    headers: { Authorization: `Bearer ${access}`, ...json },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
}

/** Whether a pair's access token still works. */
export const lives = async (simulator: Simulator, pair: Pair): Promise<boolean> =>
  (await call(simulator, pair, 'GET /users/me')).status === 200;
