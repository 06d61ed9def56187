import type { Secret } from '../secret.ts';
import type { ZoomClient } from '../zoom/oauth.ts';

const aboutCredentials: readonly string[] = ['invalid_client', 'unauthorized_client', '4702', '4704', '4706'];

/** Whether another client secret could help: the answer is about id and secret, not about the app as such. */
export const isAboutCredentials = (code: string): boolean => aboutCredentials.includes(code);

/**
 * Whether the answer stops every grant of the client id whatever else is known: credentials, or the app is disabled
 * (4717). Others – scopes that do not match (4711), a request Zoom cannot read – stop it unless Zoom lately refreshed
 * other grants with this client id: then one grant's trouble must not stop them.
 */
export const stopsTheClient = (code: string): boolean => isAboutCredentials(code) || code === '4717';

export type ClientSecrets = {
  find(clientId: string): ZoomClient | undefined;
  /** the secrets of a client, the one that worked last first */
  inOrder(client: ZoomClient): readonly Secret[];
  worked(client: ZoomClient, secret: Secret): void;
};

/** Client secrets are a list, so that one can be rotated at Zoom without an outage: tried in order. */
export function createClientSecrets(clients: readonly ZoomClient[]): ClientSecrets {
  const last = new Map<string, Secret>();
  return {
    find: (clientId) => clients.find((client) => client.clientId === clientId),
    inOrder(client) {
      const first = last.get(client.clientId);
      return first ? [first, ...client.secrets.filter((secret) => secret !== first)] : client.secrets;
    },
    worked: (client, secret) => void last.set(client.clientId, secret),
  };
}
