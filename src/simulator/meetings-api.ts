import { type Answer, apiError, json, nothing } from './answers.ts';
import { type AccessRule, admit, type Caller, lacksPrivilege, permissionRefusal } from './api-access.ts';
import { markActed } from './ledger.ts';
import type { SimUser } from './population.ts';
import type { ZoomRequest } from './request.ts';
import { notFound } from './users-api.ts';
import type { Meeting, ZoomState } from './zoom-state.ts';

const hostDailyLimit = 100;
/** UTC with Z, or local to `timezone` without; no fractions. */
const documentedTime = /^\d{4}-(0[1-9]|1[0-2])-([0-2]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\dZ?$/;
const dayMs = 86_400_000;

const rule = (
  label: AccessRule['label'],
  what: 'read' | 'write',
  granular: string,
  query: readonly string[] = [],
): AccessRule => ({
  label,
  adminScopes: [`meeting:${what}:admin`, `meeting:${granular}:meeting:admin`],
  personalScopes: [`meeting:${what}`, `meeting:${granular}:meeting`],
  // Which privilege is needed is a toggle.
  privilege: null,
  query,
});
const accessToCreate = rule('medium', 'write', 'write');
const accessToRead = rule('light', 'read', 'read', ['occurrence_id', 'show_previous_occurrences']);
const accessToUpdate = rule('light', 'write', 'update', ['occurrence_id']);
const accessToDelete = rule('light', 'write', 'delete', [
  'occurrence_id',
  'schedule_for_reminder',
  'cancel_meeting_reminder',
]);

const fields = [
  'topic',
  'type',
  'start_time',
  'duration',
  'timezone',
  'password',
  'default_password',
  'agenda',
  'settings',
  'pre_schedule',
  'schedule_for',
  'template_id',
  'recurrence',
  'tracking_fields',
];

const isAnswer = (value: unknown): value is Answer =>
  typeof value === 'object' && value !== null && 'body' in value && 'contentType' in value;

/** The body as an object of documented fields, or the refusal. */
function readBody(request: ZoomRequest): Record<string, unknown> | Answer {
  try {
    const body: unknown = JSON.parse(request.body);
    if (typeof body !== 'object' || body === null || Array.isArray(body)) throw new Error('not an object');
    if (!/^application\/json(;|$)/i.test(request.contentType)) throw new Error('not sent as JSON');
    if (Object.keys(body).some((name) => !fields.includes(name))) {
      request.entry.offences.push('unknown_parameter');
      return apiError(400, 300, 'Validation Failed.');
    }
    return body as Record<string, unknown>;
  } catch {
    request.entry.offences.push('not_json');
    return apiError(400, 300, 'Request Body should be a valid JSON object.');
  }
}

function wrongIn(body: Record<string, unknown>): string | null {
  const { topic, type, duration, start_time: startTime, settings } = body;
  if (topic !== undefined && (typeof topic !== 'string' || topic.length > 200)) return 'topic';
  if (type !== undefined && ![1, 2, 3, 8].includes(type as number)) return 'type';
  if (duration !== undefined && !(Number.isInteger(duration) && (duration as number) > 0)) return 'duration';
  if (startTime !== undefined && !(typeof startTime === 'string' && documentedTime.test(startTime)))
    return 'start_time';
  if (settings === undefined) return null;
  if (typeof settings !== 'object' || settings === null) return 'settings';
  const summary = (settings as Record<string, unknown>)['auto_start_meeting_summary'];
  return summary === undefined || typeof summary === 'boolean' ? null : 'settings.auto_start_meeting_summary';
}

/** Counts a create or update of a host; the refusal if it is one too many of the UTC day. */
function useHost(state: ZoomState, hostId: string): Answer | null {
  const key = `${hostId} ${Math.floor(state.clock.nowMs() / dayMs)}`;
  const used = (state.hostUse.get(key) ?? 0) + 1;
  state.hostUse.set(key, used);
  if (used <= hostDailyLimit) return null;
  // No Retry-After here, whatever the toggles say (zoom-api, Meetings).
  const message = `You have exceeded the daily rate limit (${hostDailyLimit}) of Meeting Create/Update API requests permitted for this particular user.`;
  return apiError(429, 429, message);
}

function mayHostFor(state: ZoomState, caller: Caller, hostId: string): Answer | null {
  if (caller.personal) return hostId === caller.family.userId ? null : permissionRefusal(state);
  if (hostId === caller.family.userId) return null;
  const needed = state.toggles().meeting_privilege;
  return needed !== 'none' && lacksPrivilege(state, caller, needed) ? permissionRefusal(state) : null;
}

function hostTrouble(state: ZoomState, host: SimUser | undefined, key: string): Answer | null {
  if (!host) {
    // Known to Zoom, but of another account.
    const elsewhere = [...state.world.accounts.values()].some(
      ({ population }) => population.byId(key) ?? population.byEmail(key),
    );
    return notFound(state, elsewhere ? 1010 : 1001, key);
  }
  if (host.status === 'pending') return notFound(state, 1120, key);
  if (host.status === 'inactive') return notFound(state, 1010, key);
  return host.type === 1 || host.type === 2 ? null : notFound(state, 1120, key);
}

const show = (meeting: Meeting): Record<string, unknown> => ({
  ...meeting.body,
  id: meeting.id,
  uuid: Buffer.from(`meeting-${meeting.id}`).toString('base64'),
  host_id: meeting.hostId,
  status: 'waiting',
  join_url: `https://us02web.zoom.us/j/${meeting.id}?pwd=simulated`,
  start_url: `https://us02web.zoom.us/s/${meeting.id}?zak=simulated`,
  password: 'sim123',
});

/** POST /users/{id or e-mail}/meetings. */
export function createMeeting(state: ZoomState, request: ZoomRequest, key: string): Answer {
  const caller = admit(state, request, accessToCreate);
  if (isAnswer(caller)) return caller;
  const body = readBody(request);
  if (isAnswer(body)) return body;
  const { population } = caller.account;
  const host = key === 'me' ? population.byId(caller.family.userId) : (population.byId(key) ?? population.byEmail(key));
  const refused = hostTrouble(state, host, key);
  if (refused || !host) return refused ?? notFound(state, 1001, key);
  const forbidden = mayHostFor(state, caller, host.id);
  if (forbidden) return forbidden;
  const wrong = wrongIn(body);
  if (wrong !== null) return apiError(400, 300, `Invalid field: ${wrong}.`);
  const tooMany = useHost(state, host.id);
  if (tooMany) return tooMany;
  const meeting: Meeting = {
    id: 80_000_000_001 + state.meetings.size,
    accountId: caller.account.id,
    hostId: host.id,
    body: { type: 2, ...body },
  };
  state.meetings.set(String(meeting.id), meeting);
  markActed(request.entry, `meeting_created:${meeting.id}`);
  return json(201, show(meeting));
}

function findMeeting(state: ZoomState, caller: Caller, id: string): Meeting | Answer {
  const meeting = state.meetings.get(id);
  if (!meeting || meeting.accountId !== caller.account.id || meeting.body['deleted'] === true) {
    return apiError(404, 3001, `Meeting does not exist: ${id}.`);
  }
  return mayHostFor(state, caller, meeting.hostId) ?? meeting;
}

/** GET, PATCH and DELETE /meetings/{id}. */
export function meeting(state: ZoomState, request: ZoomRequest, id: string): Answer {
  const access = { GET: accessToRead, PATCH: accessToUpdate, DELETE: accessToDelete }[request.method] ?? accessToRead;
  const caller = admit(state, request, access);
  if (isAnswer(caller)) return caller;
  const found = findMeeting(state, caller, id);
  if (isAnswer(found)) return found;
  if (request.method === 'GET') return json(200, show(found));
  if (request.method === 'DELETE') {
    found.body['deleted'] = true;
    markActed(request.entry, `meeting_deleted:${id}`);
    return nothing;
  }
  const body = readBody(request);
  if (isAnswer(body)) return body;
  const wrong = wrongIn(body);
  if (wrong !== null) return apiError(400, 300, `Invalid field: ${wrong}.`);
  const tooMany = useHost(state, found.hostId);
  if (tooMany) return tooMany;
  Object.assign(found.body, body);
  markActed(request.entry, `meeting_updated:${id}`);
  return nothing;
}
