import type { World, WorldConnection, WorldMember } from '../../../src/reconciliation/oracle-world.ts';
import type { ArchiveChange, Edit } from './edits.ts';
import { phrases, read, readPhrase, tryPhrase } from './phrases.ts';
import { memberPhrases, organizationPhrases, usualMember } from './vocabulary-facts.ts';
import { locationNamed } from './vocabulary-locations.ts';

/** What changes between two looks. */
export type Change = {
  /** the world as the first look left it → the world of the second */
  readonly facts: (world: World) => World;
  /** names of locations, resolved against the list that is there then */
  readonly edits: (names: readonly string[]) => readonly Edit[];
  readonly archives: ArchiveChange;
};

type NamedEdit = { readonly kind: 'edited' | 'added' | 'deleted'; readonly name: string };

/** Reads the column Then. */
export function readChange(cell: string, before: World): Change {
  const eventTypeId = before.eventTypes[0]?.id ?? '';
  const facts: ((world: World) => World)[] = [];
  const edits: NamedEdit[] = [];
  let archives: ArchiveChange = {};
  for (const phrase of phrases(cell)) {
    const edit = /^(new Zoom|Zoom 2|Zoom|phone|office|Meet|fallback) (edited|added|deleted)$/.exec(phrase);
    const person = /^(Ann|Bob|Cem) (.+)$/.exec(phrase);
    const host = /^hosted by (Ann|Bob|Cem)$/.exec(phrase);
    if (edit) edits.push({ name: `${edit[1]}`, kind: edit[2] as NamedEdit['kind'] });
    else if (phrase === 'copies expired') archives = { ...archives, expired: true };
    else if (phrase === 'offer accepted') archives = { ...archives, accepted: true };
    else if (phrase === 'generation restored')
      facts.push(withConnection((c) => ({ ...c, restoreGenerations: [before.connection?.generation ?? 0] })));
    else if (host)
      facts.push((world) => ({ ...world, eventTypes: world.eventTypes.map((e) => ({ ...e, host: `${host[1]}` })) }));
    else if (person) facts.push(withMember(`${person[1]}`, `${person[2]}`));
    else facts.push(withOrganization(phrase));
  }
  return {
    // The generation moves with whatever is changed.
    facts: (world) =>
      [...facts, withConnection((c) => ({ ...c, generation: c.generation + 1 }))].reduce(
        (now, change) => change(now),
        world,
      ),
    edits: (names) => edits.map((edit) => toEdit(eventTypeId, names, edit)),
    archives,
  };
}

function toEdit(eventTypeId: string, names: readonly string[], { kind, name }: NamedEdit): Edit {
  if (kind === 'added') return { kind: 'add', location: locationNamed(eventTypeId, name) };
  const at = names.indexOf(name);
  if (at < 0) throw new Error(`expected one of ${names.join(', ') || 'nothing'} to be ${kind}, got "${name}"`);
  return { kind: kind === 'edited' ? 'edit' : 'delete', at };
}

const withConnection =
  (change: (connection: WorldConnection) => WorldConnection) =>
  (world: World): World => ({
    ...world,
    connection: world.connection && change(world.connection),
  });

function withOrganization(phrase: string): (world: World) => World {
  // Read once now, so that a phrase nobody knows is refused with its line.
  readPhrase(organizationPhrases, { connection: null, settings: emptySettings }, phrase);
  return (world) => ({
    ...world,
    ...(tryPhrase(organizationPhrases, { connection: world.connection, settings: world.settings }, phrase) ?? {}),
  });
}

const emptySettings = {
  allowOptOut: false,
  rollout: { to: 'all' },
  fallback: null,
  sharedHost: null,
  zoomForNew: false,
} as const;

function withMember(name: string, words: string): (world: World) => World {
  const member = read<WorldMember | null>(memberPhrases, usualMember(name), words);
  return (world) => ({
    ...world,
    members: [...world.members.filter(({ id }) => id !== name), ...(member ? [member] : [])],
  });
}
