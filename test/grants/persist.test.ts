import { expect, test } from 'vitest';
import { persist } from '../../src/grants/persist.ts';

const never = new Promise<never>(() => {});
const silent = { onFailure: () => {} };

test('repeated until it succeeds, and every failure is told', async () => {
  const told: unknown[] = [];
  let tries = 0;
  const work = async () => {
    tries += 1;
    if (tries < 3) throw new Error(`away ${tries}`);
    return 'stored';
  };
  expect(await persist(work, { onFailure: (error) => told.push(String(error)) })).toBe('stored');
  expect(told).toEqual(['Error: away 1', 'Error: away 2']);
});

test('gives up only where that is allowed, with the last error', async () => {
  const work = () => Promise.reject(new Error('away'));
  await expect(persist(work, { ...silent, givesUpAfterMs: 10 })).rejects.toThrow('away');
});

test('a try that hangs does not keep the next one from storing', async () => {
  const told: unknown[] = [];
  let tries = 0;
  const work = () => {
    tries += 1;
    return tries === 1 ? never : Promise.resolve('stored');
  };
  const options = { hungAfterMs: 5, onFailure: (error: unknown) => told.push(String(error)) };
  expect(await persist(work, options)).toBe('stored');
  expect(told).toEqual(['Error: the database did not answer within 5 ms']);
});

test('few hang at a time, and one that comes back late is as good', async () => {
  const waiting: ((value: string) => void)[] = [];
  let told = 0;
  const { promise: toldSix, resolve } = Promise.withResolvers<void>();
  const stored = persist(() => new Promise<string>((answer) => waiting.push(answer)), {
    hungAfterMs: 5,
    onFailure() {
      told += 1;
      if (told === 6) resolve();
    },
  });
  await toldSix;
  expect(waiting).toHaveLength(3);
  waiting[0]?.('late');
  expect(await stored).toBe('late');
});
