import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { mutations } from '../../../scripts/mutations/list.ts';
import { type MutationLab, mutate, openMutationLab } from '../../../scripts/mutations/try-mutation.ts';

let lab: MutationLab;

beforeAll(async () => {
  lab = await openMutationLab(inject('postgresUrl'), 'steward_template');
}, 300_000);
afterAll(() => lab.close());

test('the list is up to date: every line stands in its file exactly once, and each mistake is another', () => {
  expect(mutations.length).toBeGreaterThanOrEqual(30);
  const texts = mutations.map((mutation) => `${mutation.file}\n${mutate(mutation)}`);
  expect(new Set(texts).size).toBe(mutations.length);
});

test('a line that is not there, or twice, is refused', () => {
  const why = 'for this test';
  expect(() => mutate({ file: '120-member-rules.sql', find: 'no such line', replace: '', why })).toThrow(
    /found it 0 times/,
  );
  expect(() => mutate({ file: '120-member-rules.sql', find: "'can_host'", replace: '', why })).toThrow(/exactly once/);
  expect(() => mutate({ file: '999-nothing.sql', find: 'x', replace: 'y', why })).toThrow(/no such file/);
});

// All of them, and that the unchanged SQL is not taken for a mistake: npm run mutations, which .ci/run runs.
const some = mutations.filter((_, index) => index % 24 === 5);

test.each(some)(
  'is noticed: $why',
  async (mutation) => {
    expect(await lab.attempt(mutation)).toMatchObject({ caught: true });
  },
  300_000,
);
