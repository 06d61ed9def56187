/** Listing users is a "medium" call: 60 a second on Business and up, for all apps of an account together. */
const mediumPerSecond = 60;

/** Milliseconds from one page of a walk to the next, so that it takes this share (0–1) of the account's limit. */
export const directoryPaceMs = (share: number): number => Math.ceil(1_000 / (mediumPerSecond * Math.max(share, 0.01)));
