import {
  readMeeting,
  readPermissions,
  readRole,
  readUser,
  readUserPage,
  type ZoomMeeting,
  type ZoomRole,
  type ZoomUser,
  type ZoomUserPage,
} from './api-answers.ts';
import { createApiCaller, type ZoomAnswer, type ZoomApiDeps, type ZoomAuth } from './api-call.ts';

export type { ZoomMeeting, ZoomUser, ZoomUserPage } from './api-answers.ts';
export type { ZoomAnswer, ZoomAuth } from './api-call.ts';
export type { ZoomFailure } from './api-errors.ts';

type Fields = Readonly<Record<string, unknown>>;

/** A page of a walk. Resend the same status and size with a page token; it lives 15 minutes. */
export type UserPageRequest = {
  readonly status: 'active' | 'inactive' | 'pending';
  /** default and most: 300 */
  readonly pageSize?: number | undefined;
  readonly nextPageToken?: string | null | undefined;
};

/** Biggest page that every version of Zoom's documentation allows. */
const largestPage = 300;

export type ZoomApi = ReturnType<typeof createZoomApi>;

/** The calls of Zoom's API that the worker makes; how each is sent is in `api-call.ts`. Never rejects. */
export function createZoomApi(deps: ZoomApiDeps) {
  const { ask, close } = createApiCaller(deps);
  const get = { method: 'GET' } as const;
  const done = (): true => true;
  return {
    /** The authorizing user (LIGHT). */
    me: (auth: ZoomAuth): Promise<ZoomAnswer<ZoomUser>> =>
      ask(auth, {
        ...get,
        endpoint: 'users.me',
        label: 'light',
        path: ['users', 'me'],
        subject: 'user',
        read: readUser,
      }),

    /** Effective privileges of the authorizing user, e.g. `User:Edit` (LIGHT; the best probe). */
    permissions: (auth: ZoomAuth): Promise<ZoomAnswer<readonly string[]>> => {
      const path = ['users', 'me', 'permissions'];
      return ask(auth, {
        ...get,
        endpoint: 'users.permissions',
        label: 'light',
        path,
        subject: 'user',
        read: readPermissions,
      });
    },

    /** A role with its privileges (LIGHT; Pro plans and up). */
    role: (auth: ZoomAuth, roleId: string): Promise<ZoomAnswer<ZoomRole>> =>
      ask(auth, {
        ...get,
        endpoint: 'roles.get',
        label: 'light',
        path: ['roles', roleId],
        subject: 'role',
        read: readRole,
      }),

    /** One page of the users of one status (MEDIUM). */
    listUsers: (auth: ZoomAuth, page: UserPageRequest): Promise<ZoomAnswer<ZoomUserPage>> => {
      const query = {
        status: page.status,
        page_size: String(Math.min(page.pageSize ?? largestPage, largestPage)),
        ...(page.nextPageToken ? { next_page_token: page.nextPageToken } : {}),
      };
      return ask(auth, {
        ...get,
        endpoint: 'users.list',
        label: 'medium',
        path: ['users'],
        query,
        subject: 'list',
        read: readUserPage,
      });
    },

    /** One user by id or address; `not_found` if there is none in the account (LIGHT). */
    user: (auth: ZoomAuth, idOrEmail: string): Promise<ZoomAnswer<ZoomUser>> =>
      ask(auth, {
        ...get,
        endpoint: 'users.get',
        label: 'light',
        path: ['users', idOrEmail],
        subject: 'user',
        read: readUser,
      }),

    /**
     * Makes a meeting for a user (MEDIUM; 100 creates and updates a day for each host). A `network` failure that was
     * `sent` may have made it.
     */
    createMeeting: (auth: ZoomAuth, userId: string, body: Fields): Promise<ZoomAnswer<ZoomMeeting>> => {
      const path = ['users', userId, 'meetings'];
      return ask(auth, {
        method: 'POST',
        endpoint: 'meetings.create',
        label: 'medium',
        path,
        subject: 'host',
        body,
        read: readMeeting,
      });
    },

    /** Changes the fields given. */
    updateMeeting: (auth: ZoomAuth, meetingId: string, body: Fields): Promise<ZoomAnswer<true>> => {
      const path = ['meetings', meetingId];
      return ask(auth, {
        method: 'PATCH',
        endpoint: 'meetings.update',
        label: 'medium',
        path,
        subject: 'meeting',
        body,
        read: done,
      });
    },

    /** Deletes a meeting; `not_found` if it is gone already. */
    deleteMeeting: (auth: ZoomAuth, meetingId: string): Promise<ZoomAnswer<true>> => {
      const path = ['meetings', meetingId];
      return ask(auth, {
        method: 'DELETE',
        endpoint: 'meetings.delete',
        label: 'medium',
        path,
        subject: 'meeting',
        read: done,
      });
    },

    /** Closes kept connections. */
    close,
  };
}
