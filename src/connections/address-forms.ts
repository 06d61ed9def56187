/**
 * How an address may be written in the copy of the directory: as its key where a member of ours has it, else as a keyed
 * hash. Given steward.address_key of an address: everything to look for.
 */
export type AddressForms = (addressKey: string) => readonly string[];

/** Only the key itself: for whoever has no key ring. */
export const plainForms: AddressForms = (addressKey) => [addressKey];
