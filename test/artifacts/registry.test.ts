import { expect, test } from 'vitest';
import { withRegistry } from '../../scripts/pack/registry.ts';

const failing = (stderr: string) => () => Promise.reject(Object.assign(new Error('npm failed'), { stderr }));
const away = failing('npm error code EAI_AGAIN\nnpm error syscall getaddrinfo');
const refused = failing('npm error code E404');

test('an install that no registry answered is named as not checked, and fails under CI', async () => {
  expect(await withRegistry(away, false)).toBe('not checked');
  await expect(withRegistry(away, true)).rejects.toThrow('npm failed');
});

test('an install that failed for another reason fails everywhere', async () => {
  await expect(withRegistry(refused, false)).rejects.toThrow('npm failed');
  expect(await withRegistry(async () => {}, false)).toBe('done');
});
