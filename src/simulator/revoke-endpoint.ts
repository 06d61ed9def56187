import { type Answer, json } from './answers.ts';
import { markActed } from './ledger.ts';
import { appOf, noteToken, type ZoomRequest } from './request.ts';
import { judgeForm } from './token-endpoint.ts';
import { applicationRefusal, grantRefusal } from './token-shapes.ts';
import type { ZoomState } from './zoom-state.ts';

/** POST /oauth/revoke: how far it reaches is a toggle. */
export function revoke(state: ZoomState, request: ZoomRequest): Answer {
  const { entry } = request;
  const wrong = judgeForm(request, ['token']);
  const app = appOf(state, request);
  const text = new URLSearchParams(request.body).get('token') ?? '';
  const found = state.families.find(text);
  const byRefresh = found?.kind === 'refresh';
  noteToken(state, entry, text, byRefresh ? 'refresh' : 'access');
  if (wrong) return wrong;
  if (!app) return applicationRefusal.invalidClient();
  const toggles = state.toggles();
  if (
    !found ||
    found.family.clientId !== app.clientId ||
    (byRefresh && toggles.revoke_by_refresh_token === 'refused')
  ) {
    return grantRefusal(toggles.token_error, 'revoked');
  }
  const trouble = state.families.trouble(found);
  if (trouble) {
    entry.code = trouble;
    return grantRefusal(toggles.token_error, trouble);
  }
  const { family } = found;
  // An app that each user manages is taken off that user alone.
  const reach = toggles.revoke_reach === 'account' && app.kind === 'personal' ? 'user' : toggles.revoke_reach;
  const ended = state.families.end(
    (other) => {
      if (other === family) return true;
      if (reach === 'token' || other.clientId !== family.clientId || other.accountId !== family.accountId) return false;
      return reach === 'account' || other.userId === family.userId;
    },
    reach === 'account' ? 'uninstalled' : 'revoked',
  );
  if (reach === 'account') state.webhooks.deauthorized(family);
  markActed(entry, 'revoked', ...ended.map((other) => `ended:${other.id}`));
  return json(200, { status: 'success' });
}
