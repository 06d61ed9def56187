import { learnLimits } from '../../connections/account-limits-repository.ts';
import { blockDirectory } from '../../connections/directory-walk-repository.ts';
import { hintAccount } from '../../connections/hint-account.ts';
import { lookAtZoomUser } from '../../connections/look-at-zoom-user.ts';
import { proveImported } from '../../connections/personal/prove-imported.ts';
import type { CallResult, GrantAuth } from '../../grants/call.ts';
import type { ZoomAnswer, ZoomFailure } from '../../zoom/api.ts';
import type { ApiError } from '../api-error.ts';
import type { Door, MeetingDeps } from './door.ts';
import {
  type Act,
  blockHost,
  countRefusal,
  endRefusals,
  hasHosted,
  passObstacles,
  refusalWhileOpen,
} from './obstacles.ts';
import { inSeconds, refuseMeeting } from './refuse.ts';

/** Zoom has answered already: what is remembered of it must not turn the answer into an error of ours. */
const quietly = async (work: Promise<unknown>): Promise<void> => {
  await work.catch(() => {});
};

/** How long a caller waits for somebody's refresh: bookings are made by people who wait. */
export const tokenPatienceMs = 10_000;
const lookMs = 5_000;
/** A host whom Zoom refuses although the directory has them is not tried again for so long. */
const cannotHostMs = 5 * 60_000;

type Told = Exclude<CallResult<unknown>, { kind: 'answer' }>;

/**
 * One call to Zoom about a meeting, once more with a newer token if Zoom refuses the token itself (124). What would be
 * refused is not sent; what was refused is remembered. Every refusal is thrown, typed; a meeting that Zoom does not
 * have is `gone`.
 */
export async function callZoom<T>(
  deps: MeetingDeps,
  door: Door,
  act: Act,
  work: (auth: GrantAuth) => Promise<ZoomAnswer<T>>,
): Promise<{ readonly value: T } | 'gone'> {
  const { refused, unproven } = await passObstacles(deps.db, door, act);
  if (unproven) await proveDoor(deps, door);
  const result = await deps.grants.call(door.grantId, work, { patienceMs: tokenPatienceMs });
  if (result.kind !== 'answer') throw await withoutAnswer(deps, door, result);
  if (result.answer.ok) {
    if (refused) await quietly(endRefusals(deps.db, door.grantId));
    return { value: result.answer.value };
  }
  const { failure } = result.answer;
  if (failure.kind === 'rate_limited') await quietly(learnLimits(deps.db, door.zoomAccountId, result.answer, 'medium'));
  if (failure.kind === 'not_found' && act !== 'create') return 'gone';
  throw await afterFailure(deps, door, act, failure);
}

/** Refuses what an import filed under a person, unless Zoom says that it is theirs. */
export async function proveDoor(deps: MeetingDeps, { grantId }: Door): Promise<void> {
  const proved = await proveImported(deps, grantId, { patienceMs: tokenPatienceMs });
  if (proved === 'refused') throw refuseMeeting('interrupted', { because: 'import_refused' });
  if (proved === 'unknown')
    throw refuseMeeting('temporarily_unavailable', { because: 'unproven', retryAfterSeconds: 1 });
}

/** No call was answered: the token was not to be had, or is refused again and again. */
async function withoutAnswer(deps: MeetingDeps, door: Door, told: Told): Promise<ApiError> {
  if (told.kind === 'dead') {
    // Dead after two looks; the connection's own state follows (behaviour §7).
    await hint(deps, door, `meeting: grant ${told.reason}`);
    return refuseMeeting('interrupted', { because: told.reason });
  }
  if (told.kind === 'vault_unreadable') return refuseMeeting('temporarily_unavailable', { because: told.kind });
  if (told.reason === 'token_refused') {
    await quietly(countRefusal(deps.db, door, 'token'));
    await hint(deps, door, 'meeting: token');
  }
  return refuseMeeting('temporarily_unavailable', { because: told.reason });
}

/** Whether Zoom may have done what it was asked, although we do not know. */
const mayHaveActed = ({ kind, sent, status, code }: ZoomFailure): boolean =>
  sent !== false &&
  (kind === 'network' ||
    kind === 'server' ||
    (kind === 'unexpected' && code === null && status !== null && status < 300));

async function afterFailure(deps: MeetingDeps, door: Door, act: Act, failure: ZoomFailure): Promise<ApiError> {
  const because = failure.kind;
  switch (failure.kind) {
    case 'cannot_host':
    case 'not_found':
      return afterCannotHost(deps, door, failure);
    case 'host_daily_limit': {
      const forMs = failure.retryAfterMs ?? 60_000;
      await quietly(blockHost(deps.db, door, { reason: 'daily_limit', zoomCode: null, forMs }));
      return refuseMeeting('host_daily_limit', { retryAfterSeconds: inSeconds(forMs) });
    }
    case 'rate_limited': {
      const waitMs = failure.retryAfterMs ?? 1_000;
      await quietly(blockDirectory(deps.db, door.zoomAccountId, waitMs));
      return refuseMeeting('temporarily_unavailable', { because, retryAfterSeconds: inSeconds(waitMs) });
    }
    case 'token':
    case 'missing_permission':
    case 'missing_scope':
      // A role can be limited to some groups of users: of a host who never had a meeting it says nothing about others.
      if (failure.kind === 'missing_permission' && act === 'create' && !(await hasHosted(deps.db, door)))
        return afterCannotHost(deps, door, failure);
      await quietly(countRefusal(deps.db, door, failure.kind));
      await hint(deps, door, `meeting: ${failure.kind}`);
      return refuseMeeting(refusalWhileOpen(failure.kind), { because });
    case 'application':
      await quietly(countRefusal(deps.db, door, failure.kind));
      return refuseMeeting('temporarily_unavailable', { because });
    case 'server':
    case 'network':
    case 'page_token':
    case 'unexpected':
      if (act === 'create' && mayHaveActed(failure)) return refuseMeeting('outcome_unknown', { because });
      if (failure.kind === 'unexpected' && failure.code !== null)
        return refuseMeeting('refused_by_zoom', { zoomCode: failure.code });
      return refuseMeeting('temporarily_unavailable', { because });
    default:
      return failure.kind satisfies never;
  }
}

/**
 * Zoom says by number that this user cannot host (1001, 1010, 1120): the user is looked up, so that the rule knows why
 * from now on, and not tried again for a while.
 */
async function afterCannotHost(deps: MeetingDeps, door: Door, { code }: ZoomFailure): Promise<ApiError> {
  const forMs = cannotHostMs;
  await quietly(blockHost(deps.db, door, { reason: 'cannot_host', zoomCode: code, forMs }));
  if (door.kind === 'organization') {
    const { zoomAccountId, zoomUserId } = door;
    // What it finds is a courtesy: the refusal stands without it.
    await quietly(lookAtZoomUser(deps, { zoomAccountId, zoomUserId, signal: AbortSignal.timeout(lookMs) }));
  }
  return refuseMeeting('cannot_host', { zoomCode: code, retryAfterSeconds: inSeconds(forMs) });
}

/** Says "look" at what lives on the account; a hint changes no state, and is one look a minute at most. */
async function hint(deps: MeetingDeps, door: Door, reason: string): Promise<void> {
  if (door.kind === 'personal') return;
  const { zoomAccountId } = door;
  await quietly(deps.db.transaction().execute((trx) => hintAccount(trx, { zoomAccountId, actor: 'zoom', reason })));
}
