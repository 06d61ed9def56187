import { setTimeout as pause } from 'node:timers/promises';

const lookMs = 25;

/** Looks until there is something; throws with what was waited for when the time is up. */
export async function until<T>(
  what: string,
  look: () => Promise<T | undefined | null | false>,
  timeoutMs = 60_000,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (performance.now() > deadline) throw new Error(`The demo waited ${timeoutMs / 1000} s for ${what}, in vain`);
    await pause(lookMs);
  }
}
