import { createHmac, randomUUID } from 'node:crypto';

/** How long a claim lives; the worker refuses longer ones. */
export const claimLifetimeSeconds = 60;

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/**
 * Says "this member of this organization acts": a JWS (HS256, RFC 7515) that lives for 60 seconds and is
 * accepted once. Make one for each request, on the server, after the member has signed in.
 */
export function signMemberClaim(secret: string, who: { organizationId: string; memberId: string }): string {
  const nowSeconds = Math.floor(Date.now() / 1000);
  const signed = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode({
    aud: 'zoom-steward',
    sub: who.memberId,
    org: who.organizationId,
    jti: randomUUID(),
    iat: nowSeconds,
    exp: nowSeconds + claimLifetimeSeconds,
  })}`;
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
}
