/** One organization on one Zoom account, as far as pairs of domains ask; addresses are keys. */
export type DomainWorld = {
  readonly pairs: readonly (readonly [string, string])[];
  readonly members: readonly {
    readonly id: string;
    readonly address: string;
    readonly active: boolean;
    readonly verified: boolean;
    /** Zoom user id: an owner said so */
    readonly person: string | null;
    /** Zoom user id found by e-mail when the member was looked at last */
    readonly email: string | null;
  }[];
  readonly users: readonly { readonly id: string; readonly address: string }[];
};

/** member id → Zoom user id */
export type Derived = Readonly<Record<string, string>>;

type Member = DomainWorld['members'][number];

const split = (address: string): [string, string] => {
  const at = address.lastIndexOf('@');
  return [address.slice(0, at + 1), address.slice(at + 1)];
};

/** Addresses that mean the same as one, without it. */
export function equalAddresses({ pairs }: DomainWorld, address: string): string[] {
  const [local, domain] = split(address);
  return pairs.flatMap(([a, b]) => (a === domain ? [local + b] : b === domain ? [local + a] : []));
}

/** A mapping to somebody who is gone from the copy maps nobody. */
export const isMapped = ({ users }: DomainWorld, { person }: Pick<Member, 'person'>): boolean =>
  users.some(({ id }) => id === person);

/** The rule of docs/directory.md, said once more: what follows from the pairs, given what followed before. */
export function deriveAll(world: DomainWorld, before: Derived): Derived {
  const reachable = world.members.filter(({ active, verified }) => active && verified);
  const others = (member: Member) => reachable.filter(({ id }) => id !== member.id);
  const after: Record<string, string> = {};
  for (const member of world.members) {
    const { id, address, active, verified, person } = member;
    if (!active || person !== null) continue;
    if (verified && world.users.some((user) => user.address === address)) continue;
    const free = (user: DomainWorld['users'][number]): boolean =>
      !others(member).some((o) => [o.address, ...equalAddresses(world, o.address)].includes(user.address)) &&
      !world.members.some(
        (o) => o.id !== id && (o.person === user.id || (o.email === user.id && o.active && !isMapped(world, o))),
      );
    const held = world.users.find((user) => user.id === before[id]);
    if (held && free(held)) {
      after[id] = held.id;
      continue;
    }
    const earlier = world.users.find((user) => user.id === member.email);
    if (!verified || (earlier && !others(member).some((o) => o.address === earlier.address))) continue;
    const meant = equalAddresses(world, address);
    const [user, second] = world.users.filter((one) => meant.includes(one.address));
    if (user && !second && free(user)) after[id] = user.id;
  }
  return after;
}
