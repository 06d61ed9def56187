import { Secret } from '../secret.ts';

/** A Zoom user as Zoom describes them; only `type` is guaranteed, so everything else may be missing. */
export type ZoomUser = {
  /** null for pending users in lists */
  readonly id: string | null;
  readonly email: string | null;
  /** 1 basic, 2 licensed, 4 unassigned, 99 none */
  readonly type: number | null;
  readonly status: string | null;
  readonly accountId: string | null;
  /** `"0"` owner, `"1"` admin, `"2"` member; custom roles have opaque ids */
  readonly roleId: string | null;
  readonly roleName: string | null;
  readonly displayName: string | null;
  readonly timeZone: string | null;
};

export type ZoomUserPage = {
  readonly users: readonly ZoomUser[];
  /** null: the last page */
  readonly nextPageToken: string | null;
  readonly totalRecords: number | null;
};

/** A meeting that was just made. */
export type ZoomMeeting = {
  readonly id: string;
  readonly uuid: string | null;
  readonly hostId: string | null;
  readonly joinUrl: string | null;
  /** lets its bearer host: as good as a password */
  readonly startUrl: Secret | null;
  readonly passcode: string | null;
};

/** A role; `permissions` are the privileges by name. */
export type ZoomRole = { readonly id: string; readonly name: string | null; readonly permissions: readonly string[] };

type Json = Readonly<Record<string, unknown>>;

const objectOf = (value: unknown): Json | null =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : null;
const textOf = (value: unknown): string | null => (typeof value === 'string' && value !== '' ? value : null);
const numberOf = (value: unknown): number | null =>
  typeof value === 'number' && Number.isFinite(value) ? value : null;
/** Ids arrive as text or, meeting ids, as numbers below 2^53. */
const idOf = (value: unknown): string | null => textOf(value) ?? (Number.isSafeInteger(value) ? String(value) : null);
const textsOf = (value: unknown): readonly string[] | null =>
  Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string') : null;

/** A user, or null if it is none. */
export function readUser(value: unknown): ZoomUser | null {
  const json = objectOf(value);
  if (!json) return null;
  const name = [textOf(json['first_name']), textOf(json['last_name'])].filter((part) => part !== null).join(' ');
  return {
    id: idOf(json['id']),
    email: textOf(json['email']),
    type: numberOf(json['type']),
    status: textOf(json['status']),
    accountId: idOf(json['account_id']),
    roleId: idOf(json['role_id']),
    roleName: textOf(json['role_name']),
    displayName: textOf(json['display_name']) ?? textOf(name),
    timeZone: textOf(json['timezone']),
  };
}

/** A page of users, or null if it is none: one item that cannot be read makes the page unreadable. */
export function readUserPage(value: unknown): ZoomUserPage | null {
  const json = objectOf(value);
  const items = json?.['users'];
  if (!json || !Array.isArray(items)) return null;
  const users = items.map(readUser);
  if (users.includes(null)) return null;
  return {
    users: users as ZoomUser[],
    nextPageToken: textOf(json['next_page_token']),
    totalRecords: numberOf(json['total_records']),
  };
}

/** The effective privileges, or null. */
export const readPermissions = (value: unknown): readonly string[] | null => textsOf(objectOf(value)?.['permissions']);

/** A role with its privileges, or null. */
export function readRole(value: unknown): ZoomRole | null {
  const json = objectOf(value);
  const id = idOf(json?.['id']);
  if (!json || id === null) return null;
  return { id, name: textOf(json['name']), permissions: textsOf(json['privileges']) ?? [] };
}

/** A meeting, or null if there is no id in it. */
export function readMeeting(value: unknown): ZoomMeeting | null {
  const json = objectOf(value);
  const id = idOf(json?.['id']);
  if (!json || id === null) return null;
  const startUrl = textOf(json['start_url']);
  return {
    id,
    uuid: textOf(json['uuid']),
    hostId: textOf(json['host_id']),
    joinUrl: textOf(json['join_url']),
    startUrl: startUrl === null ? null : new Secret(startUrl),
    passcode: textOf(json['password']),
  };
}
