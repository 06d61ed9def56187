import type { ActingMember, Calls } from './calls.ts';

/** Two domains that mean the same people (docs/directory.md); which comes first does not matter. */
export type DomainPair = { readonly domain: string; readonly sameAs: string };

export type DomainEquivalence = DomainPair & {
  readonly actor: string;
  /** ISO 8601 */
  readonly createdAt: string;
  /** members who host by it */
  readonly members: number;
};

/** What adding or removing a pair would do, or did. */
export type EquivalenceSummary = DomainPair & {
  /** confirms that nothing changed since */
  readonly generation: number;
  readonly changed: boolean;
  readonly new: number;
  readonly moved: number;
  readonly ended: number;
  /** active members at the two domains who have no Zoom user after it */
  readonly unmatched: number;
  /** it takes a Zoom user from somebody: send generation and name */
  readonly needsConfirmation: boolean;
  /** the first hundred */
  readonly examples: readonly {
    readonly memberId: string;
    readonly was: string | null;
    readonly zoomUserId: string | null;
  }[];
};

/** Likely pairs, 500 members without a Zoom user at a time; nothing is applied by itself. */
export type MappingSuggestions = {
  readonly members: readonly {
    readonly memberId: string;
    readonly memberEmail: string;
    readonly suggestions: readonly {
      /** null while pending: cannot be mapped yet */
      readonly zoomUserId: string | null;
      readonly zoomUserEmail: string;
      readonly status: 'active' | 'inactive' | 'pending';
    }[];
  }[];
  /** pairs of domains in this page, the most frequent first */
  readonly domains: readonly (DomainPair & { readonly members: number })[];
  readonly looked: number;
  readonly next: string | null;
};

/** Adds or removes a pair; where the preview says needsConfirmation, with its generation and the organization's name. */
export type EquivalenceRequest = {
  readonly generation?: number;
  readonly organizationName?: string;
} & DomainPair;

/** The client's `equivalences`. */
export const createEquivalences = (calls: Calls) => ({
  /** Pairs of domains that mean the same people in an organization. */
  list: (input: { organizationId: string }): Promise<{ equivalences: DomainEquivalence[] }> =>
    calls.get(input.organizationId, 'domain-equivalences'),
  /** Who would be matched, moved, or lose a match; changes nothing. */
  preview: ({
    by,
    ...change
  }: { by: ActingMember; change: 'add' | 'remove' } & DomainPair): Promise<EquivalenceSummary> =>
    calls.as(by, 'domain-equivalences/preview', change),
  /** `by` must be an owner. The same again changes nothing. */
  add: ({ by, ...pair }: { by: ActingMember } & EquivalenceRequest): Promise<EquivalenceSummary> =>
    calls.as(by, 'domain-equivalences', pair),
  /** Ends what the pair made, and nothing else. */
  remove: ({ by, ...pair }: { by: ActingMember } & EquivalenceRequest): Promise<EquivalenceSummary> =>
    calls.as(by, 'domain-equivalences/remove', pair),
});
