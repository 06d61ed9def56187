import { isMeetingRefusal, type MeetingRefusal, type MeetingRefusalCode, meetingRefusals } from './meeting-refusals.ts';

/** A refusal of the worker, with its code and whether trying again can help. */
export class StewardRequestError extends Error {
  override readonly name = 'StewardRequestError';
  /** HTTP status; 0 when no answer came */
  readonly status: number;
  /** stable code, e.g. stale_preview, no_zoom_user, temporarily_unavailable */
  readonly code: string;
  readonly retryable: boolean;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(
    status: number,
    code: string,
    message: string,
    retryable: boolean,
    details: Record<string, unknown> = {},
  ) {
    super(message);
    this.status = status;
    this.code = code;
    this.retryable = retryable;
    this.details = details;
  }
}

/** A refusal of a call about meetings: one of the table in docs/meetings.md, with what to show to whom. */
export class MeetingRefusedError extends StewardRequestError {
  declare readonly code: MeetingRefusalCode;
  /** who can mend it, and texts for the host and for the person who books */
  readonly refusal: MeetingRefusal;
  /** when asking again can help, if that is known */
  readonly retryAfterSeconds: number | null;

  constructor(code: MeetingRefusalCode, message: string, details: Record<string, unknown>) {
    const refusal = meetingRefusals[code];
    super(refusal.status, code, message, refusal.retryable, details);
    this.refusal = refusal;
    const after = details['retryAfterSeconds'];
    this.retryAfterSeconds = typeof after === 'number' ? after : null;
  }
}

export type RequestOptions = {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly body?: unknown;
  /** signed member claim, for what a member does */
  readonly claim?: string;
  /** makes repeating a POST harmless; `mayDiffer`: the caller did not choose it, so repeating the call has another one */
  readonly idempotencyKey?: { readonly key: string; readonly mayDiffer: boolean };
};

export type Requester = <T>(options: RequestOptions) => Promise<T>;

const defaultTimeoutMs = 30_000;

/** Calls the worker's API with a service key; every refusal becomes a StewardRequestError. */
export function createRequester({
  url,
  serviceKey,
  timeoutMs = defaultTimeoutMs,
}: {
  url: string;
  serviceKey: string;
  timeoutMs?: number;
}): Requester {
  return async <T>({ method, path, body, claim, idempotencyKey }: RequestOptions): Promise<T> => {
    let response: Response;
    let text: string;
    try {
      response = await fetch(`${url.replace(/\/+$/, '')}${path}`, {
        method,
        redirect: 'error',
        headers: {
          authorization: `Bearer ${serviceKey}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...(claim === undefined ? {} : { 'steward-claim': claim }),
          ...(idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey.key }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(timeoutMs),
      });
      text = await response.text();
    } catch (error) {
      const harmless = notSent(error) || idempotencyKey?.mayDiffer !== true;
      throw new StewardRequestError(
        0,
        'unreachable',
        `zoom-steward did not answer ${method} ${path} (${String(error)}); check its URL and that the server process runs${harmless ? '' : '. The meeting may have been made all the same: try again with the same idempotencyKey (it is in details), another one could make a second meeting'}`,
        harmless,
        idempotencyKey === undefined ? {} : { idempotencyKey: idempotencyKey.key },
      );
    }
    const parsed = parse(text);
    if (response.ok) return parsed as T;
    const error = (parsed as { error?: { code?: string; message?: string; retryable?: boolean } } | undefined)?.error;
    if (error?.code !== undefined && path.startsWith('/v1/meeting') && isMeetingRefusal(error.code))
      throw new MeetingRefusedError(error.code, error.message ?? '', { ...error });
    throw new StewardRequestError(
      response.status,
      error?.code ?? 'unexpected',
      error?.message ?? `zoom-steward answered ${method} ${path} with ${response.status}`,
      error?.retryable ?? response.status >= 500,
      (error as Record<string, unknown>) ?? {},
    );
  };
}

const codesOfNotSent = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'UND_ERR_CONNECT_TIMEOUT']);

/** Whether the request certainly never reached anybody. */
const notSent = (error: unknown): boolean =>
  codesOfNotSent.has((error as { cause?: { code?: string } }).cause?.code ?? '');

function parse(text: string): unknown {
  try {
    return text === '' ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}
