import { Secret } from '../../src/secret.ts';
import type { TokenAnswer, ZoomClient } from '../../src/zoom/oauth.ts';

type Tokens = Extract<TokenAnswer, { kind: 'tokens' }>;

export type Sent = { readonly refreshToken: string; readonly secret: string; readonly client: string };

/** A token as Zoom would give it; every field can be said otherwise. */
export const tokens = (name: string, said: Partial<Tokens> = {}): Tokens => ({
  kind: 'tokens',
  accessToken: new Secret(`access-${name}`),
  refreshToken: new Secret(`refresh-${name}`),
  expiresInS: 3600,
  scopes: ['user:read:admin', 'meeting:write:admin'],
  apiUrl: null,
  ...said,
});

/**
 * A token endpoint whose answers a test says one by one, where the moment or the shape of an answer matters.
 * Without a script it rotates: the newest refresh token is exchanged, every other one is refused.
 */
export function createScriptedZoom() {
  const sent: Sent[] = [];
  const revoked: string[] = [];
  const script: ((sent: Sent, rotate: () => TokenAnswer) => TokenAnswer | Promise<TokenAnswer>)[] = [];
  const revocations: (() => Awaited<ReturnType<Oauth['revoke']>>)[] = [];
  const living = new Map<string, number>();
  type Oauth = {
    refresh(client: ZoomClient, secret: Secret, refreshToken: Secret): Promise<TokenAnswer>;
    revoke(
      client: ZoomClient,
      secret: Secret,
      accessToken: Secret,
    ): Promise<{ kind: 'revoked' } | Exclude<TokenAnswer, Tokens>>;
  };
  const oauth: Oauth = {
    async refresh(client, secret, refreshToken) {
      const request = { refreshToken: refreshToken.reveal(), secret: secret.reveal(), client: client.clientId };
      sent.push(request);
      const rotate = (): TokenAnswer => {
        const [, family = '', count = '0'] = /^refresh-(.*)-(\d+)$/.exec(request.refreshToken) ?? [];
        const current = living.get(family) ?? 0;
        if (Number(count) !== current) return { kind: 'grant', code: 'invalid_grant', detail: 'Invalid Token!' };
        living.set(family, current + 1);
        return tokens(`${family}-${current + 1}`);
      };
      const answer = script.shift();
      return answer ? await answer(request, rotate) : rotate();
    },
    async revoke(_client, _secret, accessToken) {
      revoked.push(accessToken.reveal());
      return revocations.shift()?.() ?? { kind: 'revoked' };
    },
  };
  return { oauth, sent, revoked, script, revocations };
}

/** A promise that the test resolves: for answers that come when the test says so. */
export function createGate<T = void>(): { readonly opened: Promise<T>; open(value: T): void } {
  const { promise, resolve } = Promise.withResolvers<T>();
  return { opened: promise, open: resolve };
}
