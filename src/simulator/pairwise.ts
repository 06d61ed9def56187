import { profile, type ToggleName, type Toggles, toggleNames, toggleTable } from './toggles.ts';

type Choice = { readonly toggle: ToggleName; readonly reading: string };

/** Small and repeatable; quality does not matter here. */
function createDice(seed: number): () => number {
  let state = seed >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

const keyOf = (a: Choice, b: Choice): string =>
  a.toggle < b.toggle ? `${a.toggle}=${a.reading} ${b.toggle}=${b.reading}` : keyOf(b, a);

const readingsOf = (toggle: ToggleName): readonly string[] => toggleTable[toggle].readings;

function allPairs(): Map<string, readonly [Choice, Choice]> {
  const pairs = new Map<string, readonly [Choice, Choice]>();
  toggleNames.forEach((first, at) => {
    for (const second of toggleNames.slice(at + 1))
      for (const a of readingsOf(first))
        for (const b of readingsOf(second)) {
          const pair = [
            { toggle: first, reading: a },
            { toggle: second, reading: b },
          ] as const;
          pairs.set(keyOf(...pair), pair);
        }
  });
  return pairs;
}

/**
 * Profiles in which every two readings of different toggles meet at least once, kind and cruel first. Two
 * misunderstandings that only hurt together are found so with some sixty profiles instead of millions.
 */
export function pairwiseProfiles(seed = 1): Toggles[] {
  const open = allPairs();
  const dice = createDice(seed);
  const profiles: Toggles[] = [];

  const take = (made: Toggles): void => {
    profiles.push(made);
    const choices = toggleNames.map((toggle): Choice => ({ toggle, reading: made[toggle] }));
    choices.forEach((a, at) => {
      for (const b of choices.slice(at + 1)) open.delete(keyOf(a, b));
    });
  };

  /** the reading that meets most of what is still open */
  const best = (toggle: ToggleName, chosen: readonly Choice[]): Choice => {
    const scored = readingsOf(toggle).map((reading) => {
      const choice = { toggle, reading };
      return { choice, score: chosen.filter((other) => open.has(keyOf(choice, other))).length + dice() / 2 };
    });
    return scored.reduce((a, b) => (b.score > a.score ? b : a)).choice;
  };

  take(profile('kind'));
  take(profile('cruel'));
  for (;;) {
    const [next] = open.values();
    if (!next) return profiles;
    const chosen: Choice[] = [...next];
    const rest = toggleNames.filter((toggle) => !next.some((choice) => choice.toggle === toggle));
    for (const toggle of rest.sort(() => dice() - 0.5)) chosen.push(best(toggle, chosen));
    take(Object.fromEntries(chosen.map(({ toggle, reading }) => [toggle, reading])) as Toggles);
  }
}
