import type { IncomingMessage } from 'node:http';
import { fingerprint, grantOf, type SimToken } from './grant-families.ts';
import type { LedgerEntry } from './ledger.ts';
import type { App } from './world.ts';
import type { ZoomState } from './zoom-state.ts';

/** One request as the endpoints see it. */
export type ZoomRequest = {
  readonly method: string;
  readonly url: URL;
  readonly body: string;
  readonly contentType: string;
  readonly authorization: string;
  readonly entry: LedgerEntry;
  /** what the answer says of the account's limits, once they were looked at */
  limitHeaders?: Readonly<Record<string, string>>;
};

const longestBody = 1024 * 1024;

/** The body as text. @throws when it is longer than `maxBytes` or the caller hangs up */
export async function readBody(message: IncomingMessage, maxBytes = longestBody): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of message as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw new Error(`Expected a body below ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

const urlSecrets = ['access_token', 'refresh_token', 'token'];

/** Offences that any request can commit by its URL alone. */
export function judgeUrl({ url, entry }: ZoomRequest): void {
  for (const [name, value] of url.searchParams) {
    if (urlSecrets.includes(name) || value.startsWith('eyJ')) entry.offences.push('token_in_url');
    if (name === 'client_secret') entry.offences.push('secret_in_url');
  }
}

const zoomHost = /^(?:(api)(?:-[a-z]{2})?\.)?zoom\.us$/;

/**
 * Whether a request came to the host that serves this path: OAuth on zoom.us, the API on api.zoom.us and its regions.
 * Only callers who come by Zoom's own names can get it wrong.
 */
export function isRightHost(host: string, path: string): boolean {
  const named = zoomHost.exec(host);
  return named === null || path.startsWith('/v2/') === (named[1] === 'api');
}

/** Marks parameters that are not documented, or given twice. */
export function judgeParameters(entry: LedgerEntry, given: URLSearchParams, allowed: readonly string[]): boolean {
  const names = [...given.keys()];
  const unknown = names.some((name) => !allowed.includes(name));
  const repeated = new Set(names).size < names.length;
  if (unknown) entry.offences.push('unknown_parameter');
  if (repeated) entry.offences.push('repeated_parameter');
  return !unknown && !repeated;
}

/** The app that a Basic header names, if its secret is right; a percent-encoded one only where the toggle takes it. */
export function appOf(state: ZoomState, request: ZoomRequest): App | null {
  const { entry } = request;
  const encoded = /^Basic ([A-Za-z0-9+/]+=*)$/.exec(request.authorization)?.[1];
  if (encoded === undefined) {
    entry.offences.push('no_basic');
    return null;
  }
  const text = Buffer.from(encoded, 'base64').toString('utf8');
  const at = text.indexOf(':');
  const id = text.slice(0, at);
  const secret = text.slice(at + 1);
  const app = state.world.apps.get(id);
  entry.clientId = app ? app.clientId : null;
  if (app?.secrets.includes(secret)) return app;
  // Form encoding of credentials, as RFC 6749 asks for and Zoom's samples do not do.
  const decoded = /%[0-9A-F]{2}/i.test(text) ? safeDecode(text) : null;
  if (decoded !== null) {
    const colon = decoded.indexOf(':');
    const named = state.world.apps.get(decoded.slice(0, colon));
    if (named) {
      entry.clientId = named.clientId;
      entry.offences.push('percent_encoded_basic');
      const accepted = state.toggles().percent_encoded_basic === 'accepted';
      if (accepted && named.secrets.includes(decoded.slice(colon + 1))) return named;
    }
  }
  return null;
}

function safeDecode(text: string): string | null {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return null;
  }
}

/** Notes which token a call came with; never the token itself. */
export function noteToken(
  state: ZoomState,
  entry: LedgerEntry,
  text: string,
  expected: SimToken['kind'],
): SimToken | null {
  const token = state.families.find(text) ?? null;
  entry.token = {
    kind: expected,
    fingerprint: fingerprint(text),
    trouble: token ? state.families.trouble(token) : 'unknown',
  };
  if (!token) return null;
  entry.clientId = token.family.clientId;
  entry.grant = grantOf(token.family);
  entry.family = token.family.id;
  if (token.kind === expected) return token;
  entry.offences.push('wrong_kind_of_token');
  return null;
}

/** Who calls with what, before anything is checked or done: calls that never get that far are judged too. */
export function noteCaller(state: ZoomState, request: ZoomRequest): void {
  const { entry } = request;
  const [scheme, value = ''] = request.authorization.split(' ');
  const form = new URLSearchParams(scheme === 'Basic' ? request.body : '');
  const text = scheme === 'Bearer' ? value : (form.get('refresh_token') ?? form.get('token'));
  const token = text === null ? undefined : state.families.find(text);
  if (text !== null && token) {
    entry.token = { kind: token.kind, fingerprint: fingerprint(text), trouble: state.families.trouble(token) };
    entry.grant = grantOf(token.family);
    entry.family = token.family.id;
    entry.clientId = token.family.clientId;
  }
  if (scheme !== 'Basic') return;
  const id = Buffer.from(value, 'base64').toString('utf8').split(':')[0] ?? '';
  entry.clientId = state.world.apps.has(id) ? id : entry.clientId;
}
