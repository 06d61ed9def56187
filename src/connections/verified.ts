/** What verifying an org connection came to. */
export type Verified =
  | { readonly outcome: 'passed'; readonly resumed: boolean }
  | { readonly outcome: 'inconclusive'; readonly reason: string }
  | { readonly outcome: 'at_risk'; readonly missing: readonly string[] }
  /** first look failed: the second comes in ten minutes at the earliest */
  | { readonly outcome: 'suspect'; readonly missing: readonly string[]; readonly againInMs: number }
  | { readonly outcome: 'interrupted'; readonly missing: readonly string[] }
  | { readonly outcome: 'held'; readonly why: string }
  /** it moved while we looked, or there is nothing to verify: the look is discarded */
  | { readonly outcome: 'not_applicable' };
