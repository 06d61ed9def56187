/** A user of a simulated Zoom account. */
export type SimUser = {
  readonly id: string;
  readonly email: string;
  /** 1 basic, 2 licensed, 4 unassigned, 99 none */
  readonly type: number;
  readonly status: UserStatus;
  /** `0` owner, `1` admin, `2` member, or a custom role */
  readonly roleId: string;
  readonly displayName: string;
};
export type UserStatus = 'active' | 'inactive' | 'pending';

/** What is said of one user; the rest is an active licensed member. */
export type UserSpec = { readonly id: string; readonly email: string } & Partial<SimUser>;

/**
 * Users by rule instead of by list: number n of `count` is what `cycle[n % cycle.length]` says, null for nobody.
 * `{n}` in id and e-mail becomes the number. A million of them cost nothing until they are looked at.
 */
export type UserPattern = {
  readonly count: number;
  readonly id: string;
  readonly email: string;
  readonly cycle: readonly (Partial<Pick<SimUser, 'type' | 'status' | 'roleId'>> | null)[];
};

/** Users of an account in a fixed order of slots, so that a walk neither skips nor repeats anybody. */
export type Population = {
  add(user: UserSpec): SimUser;
  addPattern(pattern: UserPattern): void;
  change(id: string, change: Partial<Omit<SimUser, 'id'>>): SimUser;
  remove(id: string): boolean;
  byId(id: string): SimUser | undefined;
  byEmail(email: string): SimUser | undefined;
  count(status: UserStatus): number;
  /** Users of one state from a slot on, and the slot to go on from; null: no more. */
  page(status: UserStatus, fromSlot: number, size: number): { users: SimUser[]; nextSlot: number | null };
};

const keyOf = (email: string): string => email.toLowerCase();

const complete = (user: UserSpec): SimUser => ({
  type: 2,
  status: 'active',
  roleId: '2',
  displayName: user.email.split('@')[0] ?? user.id,
  ...user,
});

const numberIn = (template: string, text: string): number | null => {
  const [before = '', after = ''] = template.split('{n}');
  if (text.length <= before.length + after.length || !text.startsWith(before) || !text.endsWith(after)) return null;
  const digits = text.slice(before.length, text.length - after.length);
  return /^(0|[1-9]\d*)$/.test(digits) ? Number(digits) : null;
};

type Generated = {
  readonly pattern: UserPattern;
  readonly start: number;
  readonly slots: number;
  at(slot: number): SimUser | undefined;
  /** without making the user: walks skip most slots */
  statusAt(slot: number): UserStatus | undefined;
  numberOf(key: 'id' | 'email', text: string): number | null;
};

function generatedSegment(pattern: UserPattern, start: number): Generated {
  if (!pattern.id.includes('{n}') || !pattern.email.includes('{n}') || pattern.cycle.length === 0) {
    throw new Error('Expected a pattern with {n} in id and email and at least one entry in its cycle');
  }
  return {
    pattern,
    start,
    slots: pattern.count,
    at(slot) {
      const n = slot - start;
      const facts = pattern.cycle[n % pattern.cycle.length];
      if (!facts) return undefined;
      return complete({
        id: pattern.id.replace('{n}', String(n)),
        email: pattern.email.replace('{n}', String(n)),
        ...facts,
      });
    },
    statusAt(slot) {
      const facts = pattern.cycle[(slot - start) % pattern.cycle.length];
      return facts ? (facts.status ?? 'active') : undefined;
    },
    numberOf(key, text) {
      const n = key === 'id' ? numberIn(pattern.id, text) : numberIn(keyOf(pattern.email), keyOf(text));
      return n !== null && n < pattern.count ? n : null;
    },
  };
}

function countIn({ pattern }: Generated, status: UserStatus): number {
  const { count, cycle } = pattern;
  const whole = Math.floor(count / cycle.length);
  const has = (entry: (typeof cycle)[number] | undefined): boolean =>
    entry != null && (entry.status ?? 'active') === status;
  const inCycle = cycle.filter(has).length;
  return whole * inCycle + cycle.slice(0, count % cycle.length).filter(has).length;
}

/** An account's users: patterns cost nothing, single users and changed ones are kept. */
export function createPopulation(): Population {
  const segments: Generated[] = [];
  let slots = 0;
  /** slot → what is there instead of what a pattern says; null: removed */
  const kept = new Map<number, SimUser | null>();
  const slotById = new Map<string, number>();
  const slotByEmail = new Map<string, number>();
  const correction: Record<UserStatus, number> = { active: 0, inactive: 0, pending: 0 };

  const segmentOf = (slot: number): Generated | undefined =>
    segments.find((segment) => slot >= segment.start && slot < segment.start + segment.slots);
  const at = (slot: number): SimUser | undefined => {
    const own = kept.get(slot);
    return own === undefined ? segmentOf(slot)?.at(slot) : (own ?? undefined);
  };
  const statusAt = (slot: number): UserStatus | undefined => {
    const own = kept.get(slot);
    return own === undefined ? segmentOf(slot)?.statusAt(slot) : own?.status;
  };

  function slotOf(key: 'id' | 'email', text: string): number | undefined {
    const own = key === 'id' ? slotById.get(text) : slotByEmail.get(keyOf(text));
    if (own !== undefined && at(own)) return own;
    for (const segment of segments) {
      const n = segment.numberOf(key, text);
      if (n === null) continue;
      const user = at(segment.start + n);
      // A user whose address was changed is not found by the old one.
      if (user && (key === 'id' ? user.id === text : keyOf(user.email) === keyOf(text))) return segment.start + n;
    }
    return undefined;
  }

  function put(slot: number, user: SimUser | null): void {
    const before = at(slot);
    if (before) correction[before.status] -= 1;
    if (user) correction[user.status] += 1;
    kept.set(slot, user);
    if (user) {
      slotById.set(user.id, slot);
      if (!slotByEmail.has(keyOf(user.email))) slotByEmail.set(keyOf(user.email), slot);
    }
  }

  const userAt = (slot: number | undefined): SimUser | undefined => (slot === undefined ? undefined : at(slot));

  return {
    add(spec) {
      if (slotOf('id', spec.id) !== undefined) throw new Error(`Expected a new user id, got ${spec.id} again`);
      const user = complete(spec);
      put(slots, user);
      slots += 1;
      return user;
    },
    addPattern(pattern) {
      segments.push(generatedSegment(pattern, slots));
      slots += pattern.count;
    },
    change(id, change) {
      const slot = slotOf('id', id);
      const user = userAt(slot);
      if (slot === undefined || !user) throw new Error(`Expected a user of the account, got ${id}`);
      const changed = { ...user, ...change };
      if (slotByEmail.get(keyOf(user.email)) === slot) slotByEmail.delete(keyOf(user.email));
      put(slot, changed);
      return changed;
    },
    remove(id) {
      const slot = slotOf('id', id);
      if (slot === undefined) return false;
      put(slot, null);
      slotById.delete(id);
      return true;
    },
    byId: (id) => userAt(slotOf('id', id)),
    byEmail: (email) => userAt(slotOf('email', email)),
    count: (status) => segments.reduce((sum, segment) => sum + countIn(segment, status), correction[status]),
    page(status, fromSlot, size) {
      const users: SimUser[] = [];
      for (let slot = fromSlot; slot < slots; slot += 1) {
        if (statusAt(slot) !== status) continue;
        // One more than fits: only then is there a next page.
        if (users.length === size) return { users, nextSlot: slot };
        const user = at(slot);
        if (user) users.push(user);
      }
      return { users, nextSlot: null };
    },
  };
}
