import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createPopulation, type SimUser, type UserStatus } from '../../src/simulator/population.ts';

const statuses: readonly UserStatus[] = ['active', 'inactive', 'pending'];

/** All users of a state by walking the pages. */
function walk(population: ReturnType<typeof createPopulation>, status: UserStatus, size: number): SimUser[] {
  const users: SimUser[] = [];
  for (let slot: number | null = 0; slot !== null; ) {
    const page = population.page(status, slot, size);
    users.push(...page.users);
    slot = page.nextSlot;
  }
  return users;
}

describe('users by rule', () => {
  test('behave like users in a list, whatever is added, changed and removed', () => {
    const entry = fc.oneof(
      fc.constant(null),
      fc.record({ status: fc.constantFrom(...statuses), type: fc.constantFrom(1, 2, 4) }),
    );
    const command = fc.record({
      what: fc.constantFrom('add', 'change', 'remove'),
      n: fc.nat(60),
      status: fc.constantFrom(...statuses),
    });
    fc.assert(
      fc.property(
        fc.array(entry, { minLength: 1, maxLength: 7 }),
        fc.nat(50),
        fc.array(command, { maxLength: 30 }),
        fc.integer({ min: 1, max: 9 }),
        (cycle, count, commands, size) => {
          const population = createPopulation();
          const list = new Map<string, SimUser>();
          const keep = (user: SimUser | undefined): void => {
            if (user) list.set(user.id, user);
          };
          population.addPattern({ count, id: 'u{n}', email: 'u{n}@x.example', cycle });
          for (let n = 0; n < count; n += 1) {
            const facts = cycle[n % cycle.length];
            if (facts)
              list.set(`u${n}`, { id: `u${n}`, email: `u${n}@x.example`, roleId: '2', displayName: `u${n}`, ...facts });
          }
          for (const { what, n, status } of commands) {
            const id = what === 'add' ? `extra${n}` : `u${n}`;
            if (what === 'add' && !list.has(id)) keep(population.add({ id, email: `${id}@x.example`, status }));
            if (what === 'change' && list.has(id))
              keep(population.change(id, { status, email: `new-${id}@x.example` }));
            if (what === 'remove') expect(population.remove(id)).toBe(list.delete(id));
          }
          for (const status of statuses) {
            const expected = [...list.values()].filter((user) => user.status === status);
            const walked = walk(population, status, size);
            expect(walked.map((user) => user.id).sort()).toEqual(expected.map((user) => user.id).sort());
            expect(population.count(status)).toBe(expected.length);
            for (const user of expected) {
              expect(population.byId(user.id)).toEqual(user);
              expect(population.byEmail(user.email.toUpperCase())?.id).toBe(user.id);
            }
          }
        },
      ),
      { numRuns: 150 },
    );
  });

  test('a million cost next to nothing until they are looked at', () => {
    const before = process.memoryUsage().heapUsed;
    const startedMs = performance.now();
    const population = createPopulation();
    population.addPattern({
      count: 1_000_000,
      id: 'zu_{n}',
      email: 'm-{n}@x.example',
      cycle: [{}, null, { status: 'pending' }, { type: 1 }],
    });
    population.change('zu_999999', { status: 'inactive' });
    expect(population.count('active')).toBe(499_999);
    expect(population.byEmail('m-123456@x.example')).toMatchObject({ id: 'zu_123456', type: 2 });
    expect(population.byId('zu_1')).toBeUndefined();
    expect(population.page('pending', 900_000, 300).users).toHaveLength(300);
    expect(performance.now() - startedMs).toBeLessThan(500);
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(20 * 1024 * 1024);
  });

  test('an address that was changed is not found by the old one', () => {
    const population = createPopulation();
    population.addPattern({ count: 3, id: 'u{n}', email: 'u{n}@x.example', cycle: [{}] });
    population.change('u1', { email: 'other@x.example' });
    expect(population.byEmail('u1@x.example')).toBeUndefined();
    expect(population.byEmail('other@x.example')?.id).toBe('u1');
    expect(() => population.add({ id: 'u1', email: 'twice@x.example' })).toThrow(/new user id/);
  });
});
