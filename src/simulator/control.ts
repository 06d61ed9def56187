import { type ConsentDecision, type ConsentResult, consent, consentAtMarketplace } from './authorize.ts';
import type { FaultRule } from './faults.ts';
import { grantOf } from './grant-families.ts';
import { type JudgeLimits, type Judgement, judgeLedger } from './judge.ts';
import type { LedgerEntry } from './ledger.ts';
import type { SimUser, UserPattern, UserSpec } from './population.ts';
import { type SigningAttempt, trySigning } from './signing-attempt.ts';
import type { ToggleName, Toggles } from './toggles.ts';
import { tellChange, tellSettings, tellUser } from './user-webhooks.ts';
import { judgeWebhooks } from './webhook-judge.ts';
import type { Webhook, WebhookAttempt } from './webhooks.ts';
import { type AccountSpec, type AppSpec, privilegesOf, type RoleSpec } from './world.ts';
import type { ZoomState } from './zoom-state.ts';

type Where = { readonly accountId: string; readonly userId: string };
type Grant = {
  readonly grant: string;
  readonly family: string;
  readonly generation: number;
  readonly ended: string | null;
};

/** What one can do to a simulated Zoom. Every method takes one plain object: the HTTP control API is its mirror. */
export type Control = {
  addApp(app: AppSpec): void;
  addAccount(account: AccountSpec): void;
  addUsers(args: {
    readonly accountId: string;
    readonly users?: readonly UserSpec[];
    readonly patterns?: readonly UserPattern[];
  }): void;
  changeUser(args: Where & { readonly change: Partial<Omit<SimUser, 'id'>> }): SimUser;
  /** `disassociate`: unlinked from the account instead of deleted */
  deleteUser(args: Where & { readonly disassociate?: boolean }): void;
  /** changes nothing that can be seen, and says that settings of the account changed */
  changeSettings(args: { readonly accountId: string }): void;
  user(args: { readonly accountId: string; readonly user: string }): SimUser | null;
  setRoleOfUser(args: Where & { readonly roleId: string }): void;
  /** to role 2, or the one named */
  demote(args: Where & { readonly roleId?: string }): void;
  /** to role 1, or the one named */
  promote(args: Where & { readonly roleId?: string }): void;
  setRole(args: { readonly accountId: string; readonly role: RoleSpec }): void;
  consent(args: ConsentDecision & { readonly authorizeUrl: string }): ConsentResult;
  consentAtMarketplace(
    args: ConsentDecision & { readonly clientId: string; readonly redirectUri: string },
  ): ConsentResult;
  /** ends the grants of a user, or of everybody in the account, as Zoom would on its own site */
  revokeGrants(args: { readonly clientId: string; readonly accountId: string; readonly userId?: string }): Grant[];
  uninstallApp(args: { readonly clientId: string; readonly accountId: string }): Grant[];
  setApp(args: {
    readonly clientId: string;
    readonly disabled?: boolean;
    readonly secrets?: readonly string[];
    readonly scopes?: readonly string[];
  }): void;
  toggles(): Toggles;
  setToggles(changes: Readonly<Partial<Record<ToggleName, string>>>): Toggles;
  addFault(rule: FaultRule): { readonly id: string };
  releaseFault(args: { readonly id: string }): void;
  clearFaults(): void;
  /** rules and how often each was applied */
  faults(): (FaultRule & { readonly id: string; readonly applied: number })[];
  advanceClock(args: { readonly ms: number }): { readonly nowMs: number };
  now(): { readonly nowMs: number };
  grants(): Grant[];
  meetings(): { readonly id: number; readonly accountId: string; readonly hostId: string; readonly deleted: boolean }[];
  webhooks(): readonly Webhook[];
  /** from now on the app's webhooks are sent there; begins with a validation, which comes again every 72 hours */
  subscribe(args: { readonly clientId: string; readonly url: string; readonly secret: string }): void;
  /** plays somebody who has no secret and wants this body taken as Zoom's, by way of a validation */
  trySigning(args: { readonly url: string; readonly body: unknown }): Promise<SigningAttempt>;
  webhookAttempts(): readonly WebhookAttempt[];
  /** Resolves when every webhook that is due by the simulated clock was sent. */
  settleWebhooks(): Promise<void>;
  ledger(): LedgerEntry[];
  judge(limits?: JudgeLimits): Judgement;
  clearLedger(): void;
  /** Resolves when so many calls of an endpoint have arrived. */
  waitForCalls(args: { readonly endpoint: string; readonly count: number; readonly timeoutMs?: number }): Promise<void>;
};

const waitMsDefault = 10_000;

/** The control methods over a state. */
export function createControl(state: ZoomState): Control {
  const grant = (family: Parameters<typeof grantOf>[0]): Grant => ({
    grant: grantOf(family),
    family: family.id,
    generation: family.generation,
    ended: family.ended,
  });

  /** A role was changed: what becomes of the grants is a toggle. */
  function afterRoleChange({ accountId, userId }: Where, heldBefore: readonly string[]): void {
    const held = privilegesOf(state.world.account(accountId), userId);
    const lacking = state.families.list().filter((family) => {
      const { kind, requires } = state.world.app(family.clientId);
      const theirs = family.accountId === accountId && family.userId === userId && family.ended === null;
      return theirs && kind === 'admin' && !requires.every((privilege) => held.includes(privilege));
    });
    if (lacking.length === 0) {
      state.demotions.end(accountId, userId);
      return;
    }
    state.demotions.begin(accountId, userId, heldBefore);
    if (state.toggles().demotion === 'revokes') state.families.end((family) => lacking.includes(family), 'demoted');
  }

  function changeUser({ accountId, userId, change }: Where & { change: Partial<Omit<SimUser, 'id'>> }): SimUser {
    const account = state.world.account(accountId);
    if (change.roleId !== undefined && !account.roles.has(change.roleId)) {
      throw new Error(`Expected a role (${[...account.roles.keys()].join(', ')}), got ${change.roleId}`);
    }
    const heldBefore = privilegesOf(account, userId);
    const before = account.population.byId(userId);
    const changed = account.population.change(userId, change);
    if (change.roleId !== undefined) afterRoleChange({ accountId, userId }, heldBefore);
    if (before) tellChange(state, accountId, before, changed);
    return changed;
  }

  return {
    addApp: (app) => void state.world.addApp(app),
    addAccount: (account) => void state.world.addAccount(account),
    addUsers({ accountId, users = [], patterns = [] }) {
      const { population } = state.world.account(accountId);
      for (const user of users) tellUser(state, 'user.created', accountId, population.add(user));
      for (const pattern of patterns) population.addPattern(pattern);
    },
    changeUser,
    deleteUser({ accountId, userId, disassociate = false }) {
      const { population } = state.world.account(accountId);
      const user = population.byId(userId);
      if (!user || !population.remove(userId)) throw new Error(`Expected a user of ${accountId}, got ${userId}`);
      tellUser(state, disassociate ? 'user.disassociated' : 'user.deleted', accountId, user);
    },
    changeSettings: ({ accountId }) => tellSettings(state, state.world.account(accountId).id),
    user({ accountId, user }) {
      const { population } = state.world.account(accountId);
      return population.byId(user) ?? population.byEmail(user) ?? null;
    },
    setRoleOfUser: ({ roleId, ...where }) => void changeUser({ ...where, change: { roleId } }),
    demote: ({ roleId = '2', ...where }) => void changeUser({ ...where, change: { roleId } }),
    promote: ({ roleId = '1', ...where }) => void changeUser({ ...where, change: { roleId } }),
    setRole: ({ accountId, role }) => void state.world.account(accountId).roles.set(role.id, role),
    consent: ({ authorizeUrl, ...decision }) => consent(state, authorizeUrl, decision),
    consentAtMarketplace: ({ clientId, ...decision }) => consentAtMarketplace(state, clientId, decision),
    revokeGrants: ({ clientId, accountId, userId }) =>
      state.families
        .end(
          (family) =>
            family.clientId === clientId &&
            family.accountId === accountId &&
            (userId === undefined || family.userId === userId),
          'revoked',
        )
        .map(grant),
    uninstallApp({ clientId, accountId }) {
      const ended = state.families.end(
        (family) => family.clientId === clientId && family.accountId === accountId,
        'uninstalled',
      );
      for (const family of ended.slice(0, 1)) state.webhooks.deauthorized(family);
      return ended.map(grant);
    },
    setApp({ clientId, disabled, secrets, scopes }) {
      const app = state.world.app(clientId);
      if (disabled !== undefined) app.disabled = disabled;
      if (secrets) app.secrets = secrets;
      if (scopes) app.scopes = scopes;
    },
    toggles: () => state.toggles(),
    setToggles: (changes) => state.setToggles(changes),
    addFault: (rule) => ({ id: state.faults.add(rule).id }),
    releaseFault: ({ id }) => state.faults.release(id),
    clearFaults: () => state.faults.clear(),
    faults: () => state.faults.list().map(({ released: _, release: __, ...rule }) => rule),
    advanceClock({ ms }) {
      const nowMs = state.clock.advance(ms);
      state.webhooks.wake();
      return { nowMs };
    },
    now: () => ({ nowMs: state.clock.nowMs() }),
    grants: () => state.families.list().map(grant),
    meetings: () =>
      [...state.meetings.values()].map(({ id, accountId, hostId, body }) => ({
        id,
        accountId,
        hostId,
        deleted: body['deleted'] === true,
      })),
    webhooks: () => state.webhooks.list(),
    subscribe({ clientId, url, secret }) {
      state.webhooks.subscribe({ clientId: state.world.app(clientId).clientId, url, secret });
    },
    trySigning: ({ url, body }) => trySigning({ url }, body, state.clock.nowMs()),
    webhookAttempts: () => state.webhooks.attempts(),
    settleWebhooks: () => state.webhooks.settle(),
    ledger: () => state.ledger.entries(),
    judge(limits) {
      const { calls, findings } = judgeLedger(state.ledger.entries(), limits);
      const all = [...findings, ...judgeWebhooks(state.webhooks.attempts())];
      return { ok: all.length === 0, calls, findings: all };
    },
    clearLedger: () => state.ledger.clear(),
    waitForCalls: ({ endpoint, count, timeoutMs = waitMsDefault }) =>
      state.ledger.arrived(endpoint, count, AbortSignal.timeout(timeoutMs)),
  };
}
