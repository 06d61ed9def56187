import type { FastifyReply, FastifyRequest } from 'fastify';
import { Secret } from '../secret.ts';

const lifetimeSeconds = 3600;

export type AttemptCookie = {
  /** what this browser has; null: nothing yet */
  read(request: FastifyRequest): Secret | null;
  set(reply: FastifyReply, browser: Secret): void;
};

/**
 * The cookie that binds a consent to the browser in which it began. Lax: it comes back with Zoom's redirect, and with no
 * form of another site. `__Host-` where the public URL is https.
 */
export function createAttemptCookie(publicUrl: string): AttemptCookie {
  const secure = publicUrl.startsWith('https:');
  const name = secure ? '__Host-steward_attempt' : 'steward_attempt';
  return {
    read(request) {
      const pair = (request.headers.cookie ?? '').split(/;\s*/).find((part) => part.startsWith(`${name}=`));
      return pair === undefined ? null : new Secret(pair.slice(name.length + 1));
    },
    set(reply, browser) {
      reply.header(
        'set-cookie',
        `${name}=${browser.reveal()}; Path=/; HttpOnly; SameSite=Lax; Max-Age=${lifetimeSeconds}${secure ? '; Secure' : ''}`,
      );
    },
  };
}
