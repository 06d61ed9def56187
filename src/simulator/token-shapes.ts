import { type Answer, json } from './answers.ts';
import type { TokenTrouble } from './grant-families.ts';
import type { Toggles } from './toggles.ts';

/** Numbers of Zoom's OAuth error table for what ends a grant. */
const numbers: Readonly<Partial<Record<TokenTrouble | 'code', number>>> = {
  user_gone: 4735,
  uninstalled: 4738,
  revoked: 4741,
  consented_again: 4741,
  other_consent: 4741,
  demoted: 4741,
  reused: 4741,
  replaced: 4741,
  code: 4734,
};

/** A refusal about a grant (or a code), in the shape of the toggle. */
export function grantRefusal(shape: Toggles['token_error'], trouble: TokenTrouble | 'code'): Answer {
  const reason = trouble === 'code' ? 'Invalid authorization code' : 'Invalid Token!';
  const number = numbers[trouble];
  switch (shape) {
    case 'grant_and_reason':
      return json(400, { reason, error: 'invalid_grant' });
    case 'grant_only':
      return json(400, { error: 'invalid_grant' });
    case 'grant_401':
      return json(401, { reason, error: 'invalid_grant' });
    case 'request_and_reason':
      return json(400, { reason, error: 'invalid_request' });
    case 'grant_and_number':
      return json(400, { reason, error: 'invalid_grant', ...(number === undefined ? {} : { errorCode: number }) });
    case 'number_in_text_401':
      return json(401, { reason: number === undefined ? reason : `${reason} (${number.toLocaleString('en-US')})` });
    default:
      return shape satisfies never;
  }
}

/** A refusal about the application. */
export const applicationRefusal = {
  invalidClient: (): Answer => json(400, { reason: 'Invalid client_id or client_secret', error: 'invalid_client' }),
  disabled: (): Answer => json(400, { reason: 'The app has been disabled. (4,717)', error: 'invalid_client' }),
  redirect: (): Answer => json(400, { reason: 'Redirect URI mismatch. (4,709)', error: 'invalid_request' }),
  grantType: (): Answer => json(400, { reason: 'unsupported grant type', error: 'unsupported_grant_type' }),
  request: (reason: string): Answer => json(400, { reason, error: 'invalid_request' }),
};

/** A success in the shape of the toggles. `refresh` is null where Zoom gives none. */
export function tokenSuccess(
  toggles: Toggles,
  facts: { access: string; refresh: string | null; scopes: readonly string[]; ownBase: string },
): Answer {
  const { access, refresh, scopes, ownBase } = facts;
  const shape = toggles.token_success;
  const seconds = Number(toggles.expires_in);
  const body: Record<string, unknown> = {
    access_token: access,
    token_type: 'bearer',
    refresh_token: refresh,
    expires_in: seconds,
    scope: scopes.join(' '),
  };
  if (toggles.api_url === 'own') body['api_url'] = ownBase;
  if (toggles.api_url === 'foreign') body['api_url'] = 'https://api.zoom.example';
  switch (shape) {
    case 'full':
    case 'refresh_token_null':
      return json(200, body);
    case 'scope_missing':
      return json(200, { ...body, scope: undefined });
    case 'scope_null':
      return json(200, { ...body, scope: null });
    case 'expires_in_missing':
      return json(200, { ...body, expires_in: undefined });
    case 'expires_in_null':
      return json(200, { ...body, expires_in: null });
    case 'expires_in_text':
      return json(200, { ...body, expires_in: String(seconds) });
    case 'bare':
      return json(200, { access_token: access, ...(refresh === null ? {} : { refresh_token: refresh }) });
    default:
      return shape satisfies never;
  }
}
