import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, test, vi } from 'vitest';
import { answers } from '../../src/embedded/postmaster.ts';

test('a process that ends without stopping its temporary Postgres leaves neither server nor files', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'steward-temporary-'));
  // Under root the server runs as another user, who must get through.
  await chmod(dir, 0o711);
  try {
    const child = spawn(process.execPath, [join(import.meta.dirname, 'fixtures/short-lived.ts')], {
      env: { ...process.env, TMPDIR: dir },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [url, [code]] = await Promise.all([text(child.stdout), once(child, 'exit')]);
    expect(code).toBe(7);
    expect(await readdir(dir)).toEqual([]);
    const port = Number(new URL(url.trim()).port);
    await vi.waitFor(async () => expect(await answers(port)).toBe(false), { timeout: 10_000 });
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}, 60_000);
