import { serversOf } from '../../../src/reconciliation/oracle-locations.ts';
import { answerFor, factsOf } from '../../../src/reconciliation/oracle-members.ts';
import type { World } from '../../../src/reconciliation/oracle-world.ts';
import { combinationName, connectionState, eventKinds, possibleCombinations } from './combinations.ts';
import type { Round } from './play.ts';

export type Coverage = ReadonlyMap<string, number>;

const nameOf = (kind: string, combination: string): string => `${combination} / ${kind}`;

/** How often each combination was met as a server of each kind of event type. */
export function countCombinations(worlds: readonly World[]): Coverage {
  const counts = new Map<string, number>();
  for (const world of worlds) {
    const connection = connectionState(world.connection);
    const names = new Map<string, string>();
    const name = (id: string): string => {
      const known = names.get(id);
      if (known !== undefined) return known;
      const member = world.members.find((each) => each.id === id);
      const { reason, hosting } = answerFor(world, id);
      const made = combinationName({
        reason,
        connection,
        personal: member ? factsOf(world, member).personal : 'none',
        hosting,
      });
      names.set(id, made);
      return made;
    };
    for (const eventType of world.eventTypes)
      for (const server of serversOf(eventType)) {
        const met = nameOf(eventType.kind, name(server));
        counts.set(met, (counts.get(met) ?? 0) + 1);
      }
  }
  return counts;
}

/** Combinations × kinds that can exist, with how often they were met. */
export const expectedCoverage = (counts: Coverage): { name: string; count: number }[] =>
  possibleCombinations.flatMap((combination) =>
    eventKinds.map((kind) => {
      const name = nameOf(kind, combinationName(combination));
      return { name, count: counts.get(name) ?? 0 };
    }),
  );

/** Met although they cannot exist: the predicate or the rules are wrong. */
export function unexpected(counts: Coverage): string[] {
  const known = new Set(expectedCoverage(counts).map(({ name }) => name));
  return [...counts.keys()].filter((name) => !known.has(name));
}

/** A line a combination, a column a kind of event type. */
export function coverageTable(counts: Coverage): string {
  const header = [
    'connection / reason / personal / hosting'.padEnd(80),
    ...eventKinds.map((kind) => kind.padStart(11)),
  ].join('');
  const lines = possibleCombinations.map((combination) => {
    const name = combinationName(combination);
    return [name.padEnd(80), ...eventKinds.map((kind) => `${counts.get(nameOf(kind, name)) ?? 0}`.padStart(11))].join(
      '',
    );
  });
  return [header, ...lines].join('\n');
}

/** How often looks at event types ended how, by kind and cause. */
export function countOutcomes(rounds: readonly Round[]): Coverage {
  const counts = new Map<string, number>();
  for (const { looks } of rounds)
    for (const { world, eventTypeId, answer } of looks) {
      const kind = world.world.eventTypes.find(({ id }) => id === eventTypeId)?.kind;
      const { outcome } = answer;
      const detail = outcome.kind === 'removed' ? ` ${outcome.cause} ${outcome.offered ? 'offered' : 'automatic'}` : '';
      const name = `${outcome.kind}${detail} / ${kind}`;
      counts.set(name, (counts.get(name) ?? 0) + 1);
      const started = `started / ${kind}`;
      if (answer.started) counts.set(started, (counts.get(started) ?? 0) + 1);
    }
  return counts;
}
