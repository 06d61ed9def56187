import type { Actor } from '../../db/audit-repository.ts';

type Counts = Readonly<Record<string, number>>;

/** What a slice of an organization's run came to. */
export type SliceResult = {
  /**
   * more: the cursor stands, another slice is owed; held: a person must let it pass; paused: an operator stopped
   * writing; busy: another worker is at it
   */
  readonly state: 'more' | 'done' | 'superseded' | 'held' | 'paused' | 'busy';
  /** rows written by category, for the log */
  readonly counts: Counts;
  /** why the next slice should wait a little, if it should */
  readonly slowed?: string | null;
};

/** What a run of one member or event type came to. */
export type SingleResult = {
  readonly state: 'written' | 'unchanged' | 'paused' | 'observed' | 'unknown';
  readonly counts: Counts;
};

/** What a look at Zoom came to. */
export type LookResult =
  | { readonly kind: 'done'; readonly summary: string }
  /** the slice is over: the next one is owed at once */
  | { readonly kind: 'more'; readonly summary: string }
  /** the same look again, not before this many milliseconds */
  | { readonly kind: 'again'; readonly afterMs: number; readonly reason: string }
  /** what it was about is not there any more */
  | { readonly kind: 'gone'; readonly reason: string };

/** Whatever upkeep found to do, in numbers. */
export type UpkeepResult = { readonly found: number };

type Look = { readonly signal: AbortSignal };
type Because = { readonly cause: string; readonly actor: Actor };

/**
 * What jobs call: reconciliation, connections and grants, which do not know each other's jobs. The real ones are made
 * by create-job-services.ts; tests of the queue give small ones of their own.
 */
export type JobServices = {
  /** Works on a run until the slice is over. */
  advanceRun(runId: string, slice: Look & { readonly sliceMs: number }): Promise<SliceResult>;
  /** Brings one member's stored rows and locations up to date. */
  reconcileMember(memberId: string, why: Because): Promise<SingleResult>;
  /** The Zoom account in which this member is still to be looked up, or null. */
  findLookup(memberId: string): Promise<string | null>;
  /** Brings one event type's locations up to date. */
  reconcileEventType(eventTypeId: string, why: Because): Promise<SingleResult>;
  /** Looks whether the authorizing Zoom user still may what we need; at an ended deadline it is the last look. */
  verifyConnection(connectionId: string, look: Look): Promise<LookResult>;
  /** Brings a candidate to its verdict. */
  advanceCandidate(candidateId: string, look: Look): Promise<LookResult>;
  /** Files a member's own consent under whoever gave it. */
  identifyConsent(consentId: string): Promise<LookResult>;
  /** Looks again at a grant under suspicion or in the dark, or revokes one that retires; `probe`: tries one that lives. */
  lookAtGrant(grantId: string, look: Look & { readonly probe: boolean }): Promise<LookResult>;
  /** Walks the users of a Zoom account until the slice is over, at our share of the rate; not if the copy `seen` is replaced. */
  syncDirectory(zoomAccountId: string, look: Look & { readonly seen?: number | null }): Promise<LookResult>;
  /** Looks up one member in a Zoom account. */
  lookUpMember(zoomAccountId: string, memberId: string, look: Look): Promise<LookResult>;
  /** Asks Zoom about one user of an account, and writes the answer into the copy of its users. */
  lookAtZoomUser(zoomAccountId: string, zoomUserId: string, look: Look): Promise<LookResult>;
  /** What a disconnect of the organization would cost now, in numbers. */
  previewDisconnect(organizationId: string): Promise<Readonly<Record<string, number>>>;
  /** Ends the disconnect of an organization whose cascade is done: state, events, grant. Guarded; twice is once. */
  finishDisconnect(organizationId: string): Promise<string>;
};
