import { type Answer, answerFor } from '../../../src/reconciliation/oracle-members.ts';
import { type Answers, answerKey, type MemberName } from './read-members.ts';
import type { NamedWorld } from './world-rows.ts';

/** One disagreement, in words that name the world and show what is needed to see why. */
export type Difference = string;

/** The oracle's answers for all members of the worlds, and for people named there who have left. */
export function oracleAnswers(worlds: readonly NamedWorld[]): { names: MemberName[]; answers: Answers } {
  const names: MemberName[] = [];
  const answers = new Map<string, Answer>();
  for (const { key, world } of worlds) {
    const left = world.eventTypes.flatMap(({ host, hosts }) => [
      ...(host === null ? [] : [host]),
      ...hosts.map(({ member }) => member),
    ]);
    for (const member of new Set([...world.members.map(({ id }) => id), ...left])) {
      names.push({ key, member });
      answers.set(answerKey({ key, member }), answerFor(world, member));
    }
  }
  return { names, answers };
}

/** Where an answer of the engine is not the oracle's. A stored result may be missing only for somebody who left. */
export function compareAnswers(
  way: string,
  worlds: readonly NamedWorld[],
  { names, answers }: { names: readonly MemberName[]; answers: Answers },
  engine: Answers,
): Difference[] {
  const byKey = new Map(worlds.map(({ key, world }) => [key, world]));
  return names.flatMap((name) => {
    const expected = answers.get(answerKey(name));
    const got = engine.get(answerKey(name));
    const world = byKey.get(name.key);
    const member = world?.members.find(({ id }) => id === name.member);
    if (!got && !member && way === 'stored') return [];
    if (expected && got && sameAnswer(expected, got)) return [];
    const {
      eventTypes: _,
      members: __,
      directory,
      ...rest
    } = world ?? { eventTypes: [], members: [], directory: null };
    const others = world?.members.filter(({ id }) => id !== name.member).slice(0, 8);
    return [
      `${way}: ${name.key}/${name.member}\n  oracle ${JSON.stringify(expected)}\n  engine ${JSON.stringify(got)}\n` +
        `  member ${JSON.stringify(member)}\n  world ${JSON.stringify(rest)}\n  directory ${JSON.stringify(directory).slice(0, 1500)}\n  others ${JSON.stringify(others)}`,
    ];
  });
}

/** The Zoom user matters where the member can host through the organization; otherwise the engine may still name one. */
function sameAnswer(expected: Answer, got: Answer): boolean {
  const hostsThroughOrganization = expected.effective === 'organization' && expected.hosting === 'can_host';
  return (
    expected.reason === got.reason &&
    expected.effective === got.effective &&
    expected.hosting === got.hosting &&
    expected.basicPlan === got.basicPlan &&
    expected.sharedHost === got.sharedHost &&
    (!hostsThroughOrganization || expected.zoomUserId === got.zoomUserId)
  );
}
