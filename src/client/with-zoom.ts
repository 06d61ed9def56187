import type { MeetingCredentials } from './meeting-credentials.ts';

/** What `withZoom` gives for the time of its function. */
export type Zoom = Omit<MeetingCredentials, 'accessToken' | 'expiresAt' | 'fingerprint'> & {
  /** the access token; asking for it once the function has ended throws */
  readonly accessToken: string;
  /**
   * Calls Zoom's API, e.g. `fetch('/users/me')`: path below the version, JSON in `body`. A refused token (124) throws
   * `ZoomTokenRefused`, with which `withZoom` begins anew.
   */
  fetch(path: string, init?: { method?: string; body?: unknown; signal?: AbortSignal }): Promise<Response>;
};

/** Zoom refused the access token (code 124): nothing was done. */
export class ZoomTokenRefused extends Error {
  override readonly name = 'ZoomTokenRefused';
  readonly code = 124;
}

const tokenRefused = 124;

/** Whether an error says 124, as our `fetch`, and the libraries that people use, throw it. */
function saysTokenRefused(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return false;
  const { code, body, data, response } = error as Record<string, Record<string, unknown> | undefined> & {
    code?: unknown;
  };
  const codes = [
    code,
    body?.['code'],
    data?.['code'],
    (response?.['data'] as Record<string, unknown> | undefined)?.['code'],
  ];
  return codes.some((one) => Number(one) === tokenRefused);
}

function open(credentials: MeetingCredentials): { zoom: Zoom; close(): void } {
  const { accessToken, expiresAt: _, fingerprint: __, ...rest } = credentials;
  let ended = false;
  const token = (): string => {
    if (ended) throw new Error('withZoom: expected the token to be used while the function runs; it has ended');
    return accessToken;
  };
  const zoom: Zoom = {
    ...rest,
    get accessToken() {
      return token();
    },
    async fetch(path, { method = 'GET', body, signal } = {}) {
      const answer = await fetch(`${rest.apiBase}/v2${path}`, {
        method,
        redirect: 'error',
        headers: {
          authorization: `Bearer ${token()}`,
          accept: 'application/json',
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        ...(signal === undefined ? {} : { signal }),
      });
      if (answer.status !== 400 && answer.status !== 401) return answer;
      const said = (await answer
        .clone()
        .json()
        .catch(() => undefined)) as { code?: unknown } | undefined;
      if (Number(said?.code) === tokenRefused) throw new ZoomTokenRefused('Zoom refused the access token (124)');
      return answer;
    },
  };
  return {
    zoom,
    close: () => {
      ended = true;
    },
  };
}

/**
 * Runs a function with credentials. If it throws 124, once more with a newer token: put one change into one function,
 * for what it did before the refusal is done again.
 */
export async function useCredentials<T>(
  ask: (refusedFingerprint?: string) => Promise<MeetingCredentials>,
  work: (zoom: Zoom) => Promise<T>,
): Promise<T> {
  const once = async (credentials: MeetingCredentials): Promise<T> => {
    const { zoom, close } = open(credentials);
    try {
      return await work(zoom);
    } finally {
      close();
    }
  };
  const first = await ask();
  try {
    return await once(first);
  } catch (error) {
    if (!saysTokenRefused(error)) throw error;
    return once(await ask(first.fingerprint));
  }
}
