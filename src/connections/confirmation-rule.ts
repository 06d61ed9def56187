/** What decides whether a passed candidate confirms itself (behaviour §3.6). */
export type ConfirmationFacts = {
  /** Zoom account connected before, also long ago; null if never */
  readonly previousZoomAccountId: string | null;
  readonly zoomAccountId: string;
  /** the issuer pressed the button in their own session, and is still owner or admin */
  readonly approverIsIssuer: boolean;
  readonly approverEmail: string | null;
  /** domains the organization has proven to own, ASCII, lower case */
  readonly verifiedDomains: readonly string[];
  /** active members, and how many of them were found in the Zoom account */
  readonly members: number;
  readonly matched: number;
};

/** Why a person must look: stored with the candidate and shown. */
export type ConfirmReason = 'another_account' | 'approver_not_recognised' | 'few_members_found';

/** Domain of an address key (steward.address_key has made it ASCII and lower case), or null. */
function domainOf(addressKey: string | null): string | null {
  const at = addressKey?.lastIndexOf('@') ?? -1;
  return addressKey === null || at < 1 || at === addressKey.length - 1 ? null : addressKey.slice(at + 1);
}

/**
 * Whether a candidate confirms itself: null, or why a person must. Another account than before always needs the
 * click; else the issuer in their own session, or an approver of a verified domain with half of the members found.
 */
export function whyConfirm(facts: ConfirmationFacts): ConfirmReason | null {
  if (facts.previousZoomAccountId !== null && facts.previousZoomAccountId !== facts.zoomAccountId)
    return 'another_account';
  if (facts.approverIsIssuer) return null;
  const domain = domainOf(facts.approverEmail);
  if (domain === null || !facts.verifiedDomains.includes(domain)) return 'approver_not_recognised';
  return facts.members > 0 && facts.matched * 2 >= facts.members ? null : 'few_members_found';
}
