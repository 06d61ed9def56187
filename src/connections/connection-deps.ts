import type { Database } from '../db/database.ts';
import type { Grants } from '../grants/grants.ts';
import type { Vault } from '../grants/vault.ts';
import type { ZoomApi } from '../zoom/api.ts';
import type { ZoomClient, ZoomEndpoints, ZoomOauth } from '../zoom/oauth.ts';
import type { Expectations } from './expectations.ts';

/** What the life of connections needs; compose wires it once, tests give their own. */
export type ConnectionDeps = {
  readonly db: Database;
  readonly vault: Vault;
  readonly grants: Grants;
  readonly oauth: ZoomOauth;
  readonly api: ZoomApi;
  readonly endpoints: ZoomEndpoints;
  /** the admin-managed app, with which organizations connect */
  readonly client: ZoomClient;
  /** the app for members' own Zoom; without it personal connections are only external */
  readonly personalClient?: ZoomClient | null;
  /** required and wished scopes and permissions; `defaultExpectations` unless configured */
  readonly expectations: Expectations;
  /** pauses in ms before a question of a look that Zoom did not answer is asked again; none: it is asked once */
  readonly lookAgainMs?: readonly number[];
};
