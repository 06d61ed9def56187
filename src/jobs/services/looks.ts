import { advanceCandidate } from '../../connections/advance-candidate.ts';
import type { ConnectionDeps } from '../../connections/connection-deps.ts';
import { lookAtDue } from '../../connections/deadline.ts';
import type { DirectorySync } from '../../connections/directory-sync-result.ts';
import { lookAtZoomUser } from '../../connections/look-at-zoom-user.ts';
import { type Lookup, lookUpAddress } from '../../connections/look-up-address.ts';
import { personalDepsOf } from '../../connections/personal/consents.ts';
import { identifyConsent } from '../../connections/personal/identify-consent.ts';
import { proveImported } from '../../connections/personal/prove-imported.ts';
import { settlePersonalConnections } from '../../connections/personal-connections.ts';
import { syncDirectory } from '../../connections/sync-directory.ts';
import { StewardError } from '../../errors.ts';
import type { JobServices, LookResult } from './job-services.ts';

const done = (summary: string): LookResult => ({ kind: 'done', summary });

const walkSliceMs = 5_000;
const busyMs = 5_000;
const dailyAgainMs = 10 * 60_000;
const identifyAgainMs = 30_000;
const retireAgainMs = 5 * 60_000;

const goneCodes = new Set(['connection_not_found', 'candidate_not_found']);

async function orGone(look: () => Promise<LookResult>): Promise<LookResult> {
  try {
    return await look();
  } catch (error) {
    if (error instanceof StewardError && goneCodes.has(error.code)) return { kind: 'gone', reason: error.code };
    throw error;
  }
}

function ofWalk(sync: DirectorySync): LookResult {
  switch (sync.state) {
    case 'done':
      return done(`${sync.users} users, ${sync.changed} changed`);
    case 'more':
      return { kind: 'more', summary: `${sync.pages} pages` };
    case 'walked':
      return done('walked meanwhile');
    case 'busy':
      return { kind: 'again', afterMs: busyMs, reason: 'another worker walks this account' };
    case 'blocked':
      return { kind: 'again', afterMs: sync.retryInMs, reason: "Zoom's limit" };
    case 'daily_limit':
      // An operator may state another limit meanwhile.
      return {
        kind: 'again',
        afterMs: Math.min(sync.retryInMs, dailyAgainMs),
        reason: "waits for Zoom's daily limit",
      };
    case 'refused':
      return done(`kept the copy: ${sync.lost} of ${sync.matched} matched users were missing`);
    case 'failed':
      if (sync.retryable)
        throw new StewardError(
          'directory_walk_failed',
          `The directory walk stopped: ${sync.reason}; it goes on from its page.`,
        );
      return done(`stopped: ${sync.reason}`);
    case 'unused':
      return { kind: 'gone', reason: 'nothing of ours lives on this Zoom account' };
    default:
      return sync satisfies never;
  }
}

const ofLookup = (looked: Lookup): LookResult =>
  looked.state === 'later' ? { kind: 'again', afterMs: looked.retryInMs, reason: looked.reason } : done(looked.state);

type Looks = Pick<
  JobServices,
  | 'verifyConnection'
  | 'advanceCandidate'
  | 'identifyConsent'
  | 'lookAtGrant'
  | 'syncDirectory'
  | 'lookUpMember'
  | 'lookAtZoomUser'
>;

/** The looks at Zoom that jobs take, each with what it means for the job. */
export function createLooks({ connections, zoomShare }: { connections: ConnectionDeps; zoomShare: number }): Looks {
  const { db, grants } = connections;
  return {
    verifyConnection: (connectionId, { signal }) =>
      orGone(async () => {
        return done((await lookAtDue(connections, connectionId, { signal })).outcome);
      }),
    advanceCandidate: (candidateId, { signal }) =>
      orGone(async () => {
        const advanced = await advanceCandidate(connections, candidateId, { signal });
        // A job that waits would swallow the look that the end of the walk asks for; the tick asks as well.
        if (advanced.state === 'waiting' && advanced.on === 'directory') return done('waits for the walk');
        return advanced.state === 'waiting'
          ? { kind: 'again', afterMs: advanced.retryInMs, reason: `${advanced.on}: ${advanced.reason}` }
          : done(advanced.state);
      }),
    async identifyConsent(consentId) {
      const personal = personalDepsOf(connections);
      if (personal === null) return { kind: 'gone', reason: 'no personal app is configured' };
      const identified = await identifyConsent(personal, consentId);
      return identified === 'unidentified'
        ? { kind: 'again', afterMs: identifyAgainMs, reason: 'Zoom does not say who consented' }
        : done(identified);
    },
    async lookAtGrant(grantId, { signal, probe }) {
      const row = await db
        .selectFrom('steward.grants')
        .select(['state', 'unproven'])
        .where('id', '=', grantId)
        .executeTakeFirst();
      if (!row) return { kind: 'gone', reason: 'the grant is gone' };
      if (row.state === 'retiring') {
        const retired = await grants.retire(grantId);
        return retired.kind === 'done'
          ? done(retired.outcome ?? 'in use again')
          : { kind: 'again', afterMs: retireAgainMs, reason: retired.why };
      }
      // One cheap call: a token that Zoom refuses is refreshed, and what the token endpoint says then counts.
      if (row.unproven) await proveImported(connections, grantId, { signal });
      else if (probe && (row.state === 'living' || row.state === 'suspect'))
        await grants.call(grantId, (auth) => connections.api.me(auth), { signal });
      const looked = await grants.secondLook(grantId);
      await settlePersonalConnections(db);
      return done(looked.kind === 'looked' ? looked.state : 'not due');
    },
    syncDirectory: async (zoomAccountId, look) =>
      ofWalk(await syncDirectory(connections, zoomAccountId, { ...look, share: zoomShare, sliceMs: walkSliceMs })),
    lookUpMember: async (zoomAccountId, memberId, { signal }) =>
      ofLookup(await lookUpAddress(connections, { zoomAccountId, memberId, signal })),
    lookAtZoomUser: async (zoomAccountId, zoomUserId, { signal }) =>
      ofLookup(await lookAtZoomUser(connections, { zoomAccountId, zoomUserId, signal })),
  };
}
