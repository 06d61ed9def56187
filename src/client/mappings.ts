import { type ActingMember, type Calls, pageOf } from './calls.ts';
import type { MappingSuggestions } from './equal-domains.ts';

/** Which member hosts as which Zoom user: a CSV text (docs/directory.md), or a list. Ids or e-mail addresses; null ends a mapping. */
export type MappingWishes =
  | { readonly csv: string }
  | { readonly entries: readonly { readonly member: string; readonly zoomUser: string | null }[] };

/** What wishes would do, or did. */
export type MappingSummary = {
  readonly new: number;
  readonly moved: number;
  readonly ended: number;
  readonly unchanged: number;
  /** lines without a Zoom user: left as they are */
  readonly blank: number;
  /** how often each problem occurs, e.g. unknown_member */
  readonly problems: Readonly<Record<string, number>>;
  readonly lines: readonly { readonly line: number; readonly problem: string }[];
  readonly ignoredColumns: readonly string[];
};

export type Mapping = {
  readonly memberId: string;
  readonly zoomUserId: string;
  /** person, or domain where it follows from two domains that mean the same people */
  readonly origin: 'person' | 'domain';
  readonly actor: string;
  /** ISO 8601 */
  readonly createdAt: string;
};

/** The client's `mappings`. */
export const createMappings = (calls: Calls) => ({
  /** A thousand at a time; `next` is what to give as `after`. */
  list: (input: { organizationId: string; after?: string }): Promise<{ mappings: Mapping[]; next: string | null }> =>
    calls.get(input.organizationId, pageOf('mappings', input.after)),
  /** What the wishes would do, line by line; changes nothing. */
  preview: ({ by, ...wishes }: { by: ActingMember } & MappingWishes): Promise<MappingSummary> =>
    calls.as(by, 'mappings/preview', wishes),
  /** Does all of it or nothing; `by` must be an owner. Refused as mappings_refused, with the lines. */
  write: ({ by, ...wishes }: { by: ActingMember } & MappingWishes): Promise<MappingSummary> =>
    calls.as(by, 'mappings', wishes),
  /** Zoom users that may be members who have none. A suggestion becomes a mapping by `write`, and by nothing else. */
  suggest: (input: { organizationId: string; after?: string }): Promise<MappingSuggestions> =>
    calls.get(input.organizationId, pageOf('mapping-suggestions', input.after)),
});
