import { describe, expect, it } from 'vitest';
import { type ConfirmationFacts, whyConfirm } from '../../src/connections/confirmation-rule.ts';
import { defaultExpectations, expectationsOf } from '../../src/connections/expectations.ts';
import { judge, type LookFacts } from '../../src/connections/verdict.ts';
import { failure } from './scripted-zoom.ts';

const granular = [
  'user:read:user:admin',
  'user:read:list_users:admin',
  'user:read:list_permissions:admin',
  'meeting:write:meeting:admin',
  'meeting:update:meeting:admin',
  'meeting:delete:meeting:admin',
  'meeting:read:meeting:admin',
];
const good: LookFacts = {
  grant: { state: 'usable' },
  me: { ok: true, value: { status: 'active' } },
  permissions: { ok: true, value: ['User:Read', 'User:Edit'] },
  users: { ok: true, value: null },
  scopes: ['user:read:admin', 'meeting:read:admin', 'meeting:write:admin'],
};
const verdict = (facts: Partial<LookFacts>) => judge({ ...good, ...facts }, defaultExpectations);

describe('the verdict', () => {
  it('passes an active user with classic or with granular scopes', () => {
    expect(verdict({})).toEqual({ result: 'passed', warnings: [] });
    expect(verdict({ scopes: granular })).toEqual({ result: 'passed', warnings: [] });
  });

  it.each(granular.slice(0, 6))('notices that the granular scope %s is missing', (scope) => {
    const found = verdict({ scopes: granular.filter((one) => one !== scope) });
    if (scope === 'user:read:list_permissions:admin') expect(found.result).toBe('passed');
    else
      expect(found).toMatchObject({ result: 'failed', evidence: 'lists', missing: [expect.stringContaining(scope)] });
  });

  it('compares scopes as whole words with their case', () => {
    for (const wrong of ['USER:READ:ADMIN', 'user:read:admin2', 'xuser:read:admin', 'user:read']) {
      expect(verdict({ scopes: [wrong, 'meeting:write:admin', 'meeting:read:admin'] })).toMatchObject({
        result: 'failed',
        evidence: 'lists',
      });
    }
  });

  it('lets calls decide where Zoom did not name the scopes', () => {
    expect(verdict({ scopes: [] })).toEqual({ result: 'passed', warnings: [] });
  });

  it('fails for want of a required permission and only warns about a wished one', () => {
    expect(verdict({ permissions: { ok: true, value: ['User:Edit'] } })).toEqual({
      result: 'failed',
      evidence: 'lists',
      missing: ['permission: User:Read'],
    });
    expect(verdict({ permissions: { ok: true, value: ['User:Read'] } })).toEqual({
      result: 'passed',
      warnings: ['permission: User:Edit'],
    });
  });

  it('knows no role by its name: a custom role may be enough, a trimmed admin or co-owner is not', () => {
    const custom = { ok: true, value: ['Dashboard:Read', 'User:Read', 'User:Edit'] } as const;
    expect(verdict({ permissions: custom })).toEqual({ result: 'passed', warnings: [] });
    const trimmed = { ok: true, value: ['Role:Read', 'Role:Edit', 'Billing:Edit', 'AccountSetting:Read'] } as const;
    expect(verdict({ permissions: trimmed })).toMatchObject({ result: 'failed', evidence: 'lists' });
    // Of a privilege with its case and whole: nothing else is that privilege.
    expect(verdict({ permissions: { ok: true, value: ['user:read', 'User:Read:Group', 'User:Edit'] } })).toMatchObject({
      result: 'failed',
      missing: ['permission: User:Read'],
    });
  });

  it('a role limited to some groups lists its privileges all the same, and fails by the call that is refused', () => {
    expect(verdict({ users: failure('missing_permission') })).toMatchObject({ result: 'failed', evidence: 'calls' });
  });

  it('takes the lists of privileges that an installation names', () => {
    const strict = expectationsOf({ requiredPermissions: ['User:Read', 'User:Edit'], wishedPermissions: [] });
    const facts = { ...good, permissions: { ok: true, value: ['User:Read'] } } as const;
    expect(judge(facts, strict)).toEqual({ result: 'failed', evidence: 'lists', missing: ['permission: User:Edit'] });
    const lax = expectationsOf({ requiredPermissions: [], wishedPermissions: null });
    expect(judge({ ...facts, permissions: { ok: true, value: [] } }, lax)).toEqual({
      result: 'passed',
      warnings: ['permission: User:Edit'],
    });
    expect(expectationsOf({ requiredPermissions: null, wishedPermissions: null })).toEqual(defaultExpectations);
  });

  it.each(['inactive', 'pending'])(
    'fails a user who is %s, and does not insist on a status Zoom left out',
    (status) => {
      expect(verdict({ me: { ok: true, value: { status } } })).toMatchObject({ result: 'failed', evidence: 'lists' });
      expect(verdict({ me: { ok: true, value: { status: null } } })).toMatchObject({ result: 'passed' });
    },
  );

  it.each(['token', 'missing_scope', 'missing_permission'] as const)(
    'fails with evidence of calls when Zoom answers %s',
    (kind) => {
      expect(verdict({ users: failure(kind) })).toMatchObject({ result: 'failed', evidence: 'calls' });
      expect(verdict({ me: failure(kind) })).toMatchObject({ result: 'failed', evidence: 'calls' });
    },
  );

  it('a user who is gone fails; nobody found in a list does not', () => {
    expect(verdict({ me: failure('not_found') })).toMatchObject({ result: 'failed', evidence: 'calls' });
    expect(verdict({ users: failure('not_found') })).toMatchObject({ result: 'inconclusive' });
  });

  it('not being allowed to read the permissions is no failing call', () => {
    expect(verdict({ permissions: failure('missing_scope') })).toEqual({
      result: 'passed',
      warnings: ['scope: read permissions'],
    });
  });

  const silent = [
    'rate_limited',
    'server',
    'network',
    'application',
    'page_token',
    'unexpected',
    'cannot_host',
    'host_daily_limit',
  ] as const;
  it.each(silent)('is inconclusive about %s, wherever it comes from and whatever else is known', (kind) => {
    for (const call of ['me', 'permissions', 'users'] as const) {
      expect(verdict({ [call]: failure(kind) }).result).toBe('inconclusive');
      expect(
        verdict({ users: failure('missing_permission'), me: failure('missing_permission'), [call]: failure(kind) })
          .result,
      ).toBe('inconclusive');
    }
  });

  it('is inconclusive when the grant is not to be had, and fails when it is dead', () => {
    expect(verdict({ grant: { state: 'unavailable', reason: 'vault_unreadable' }, me: null })).toEqual({
      result: 'inconclusive',
      reason: 'vault_unreadable',
    });
    expect(verdict({ grant: { state: 'dead', reason: 'revoked' }, me: null })).toEqual({
      result: 'failed',
      missing: ['access: revoked'],
      evidence: 'grant',
    });
    expect(verdict({ users: null }).result).toBe('inconclusive');
  });
});

describe('the rule for self-confirmation', () => {
  const facts: ConfirmationFacts = {
    previousZoomAccountId: null,
    zoomAccountId: 'a',
    approverIsIssuer: false,
    approverEmail: 'it@acme.example',
    verifiedDomains: ['acme.example'],
    members: 12,
    matched: 6,
  };
  const cases: [string, Partial<ConfirmationFacts>, ReturnType<typeof whyConfirm>][] = [
    ['half found, approver of a verified domain', {}, null],
    ['one fewer than half', { matched: 5 }, 'few_members_found'],
    ['odd numbers round against us', { members: 13, matched: 6 }, 'few_members_found'],
    ['nobody to find', { members: 0, matched: 0 }, 'few_members_found'],
    ['another domain', { approverEmail: 'it@evil.example' }, 'approver_not_recognised'],
    ['a subdomain is another domain', { approverEmail: 'it@x.acme.example' }, 'approver_not_recognised'],
    ['a domain that merely ends the same', { approverEmail: 'it@notacme.example' }, 'approver_not_recognised'],
    ['two at-signs: the last one counts', { approverEmail: 'it@acme.example@evil.example' }, 'approver_not_recognised'],
    ['no address', { approverEmail: null }, 'approver_not_recognised'],
    ['the issuer, with nobody found', { approverIsIssuer: true, matched: 0, approverEmail: null }, null],
    ['the same account as before', { previousZoomAccountId: 'a' }, null],
    ['another account, also for the issuer', { previousZoomAccountId: 'b', approverIsIssuer: true }, 'another_account'],
  ];
  it.each(cases)('%s', (_name, change, expected) => {
    expect(whyConfirm({ ...facts, ...change })).toBe(expected);
  });
});
