import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createBrowser } from '../../src/demo/browser.ts';
import { createControlClient } from '../../src/simulator/control-client.ts';
import { type Played, playCli } from './play-cli.ts';

// A few seconds by themselves; patience for a machine that does ten other things.
const patienceMs = 240_000;
const entry = resolve(import.meta.dirname, '../../bin/zoom-steward.mjs');
const dir = mkdtempSync(join(tmpdir(), 'steward-cli-'));
// Under root the embedded Postgres runs as another user, who must get through.
chmodSync(dir, 0o711);

type Told = { serverUrl: string; zoomUrl: string; controlUrl: string; databaseUrl: string; organization: string };
let dev: ChildProcess;
let told: Told;

const steward = (...line: string[]): Promise<Played> =>
  playCli([...line], { env: { DATABASE_URL: told.databaseUrl, STEWARD_PUBLIC_URL: told.serverUrl } });

/** A command as people run it: a process of its own, which finds the running dev by its directory. */
const asProcess = (...line: string[]): Promise<{ code: number; out: string; err: string }> =>
  new Promise((done) => {
    const env: NodeJS.ProcessEnv = { ...process.env };
    delete env['DATABASE_URL'];
    execFile(process.execPath, [entry, ...line], { cwd: dir, env }, (error, out, err) =>
      done({ code: error ? Number(error.code) : 0, out, err }),
    );
  });

beforeAll(async () => {
  dev = spawn(process.execPath, [entry, 'dev', '--json'], { cwd: dir, stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = createInterface({ input: dev.stdout as NodeJS.ReadableStream });
  const [first] = (await once(lines, 'line')) as [string];
  told = JSON.parse(first) as Told;
}, patienceMs);

afterAll(async () => {
  if (dev.exitCode === null) {
    dev.kill('SIGKILL');
    await once(dev, 'exit');
  }
  rmSync(dir, { recursive: true, force: true });
});

const why = ['--reason', 'trying it out'];

/** Whoever got the link opens it, presses the button and approves at the simulated Zoom. */
async function approve(link: string): Promise<void> {
  const browser = createBrowser();
  const authorizeUrl = (await browser.post(link)).location as string;
  const consent = await createControlClient(told.controlUrl).consent({
    authorizeUrl,
    accountId: 'acc_simulator',
    user: 'zu_owner',
    decision: 'approve',
  });
  if (consent.kind !== 'redirected') throw new Error(`Zoom said ${JSON.stringify(consent)}`);
  expect((await browser.get(consent.location)).status).toBe(303);
}

async function until<T>(look: () => Promise<T | undefined>): Promise<T> {
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    // dev works on the same two cores.
    await pause(100);
  }
}

test(
  'from link to restore, by commands, against a running dev',
  async () => {
    const status = async (): Promise<{
      state: string;
      waiting: { state: string }[];
      run: unknown;
      hosting: Record<string, number>;
    }> => JSON.parse((await steward('status', 'Example', '--json')).out);

    // Found by its directory alone.
    const first = await asProcess('status');
    expect(first).toMatchObject({ code: 0, err: '' });
    expect(first.out).toContain('0 of 1 organization interrupted');

    const link = (await steward('connect-link', 'Example', ...why)).out.trim();
    await approve(link);
    const seen = await until(async () => {
      const now = await status();
      return now.state === 'active' || now.waiting.some((one) => one.state === 'awaiting_confirmation')
        ? now
        : undefined;
    });
    if (seen.state !== 'active') expect((await steward('confirm', 'Example', '--yes', ...why)).code).toBe(0);
    expect((await steward('runs', 'watch', 'Example', '--exit-status')).code).toBe(0);
    await until(async () => ((await status()).hosting['can_host'] === 10 ? true : undefined));

    const verified = await steward('verify', 'Example', ...why);
    expect(verified).toMatchObject({ code: 0 });
    expect(verified.out).toContain('Example: active');

    const preview = JSON.parse((await steward('disconnect', 'Example', '--preview', '--json')).out);
    expect(preview.locations.removed.locations).toBe(12);
    const gone = await steward(
      'disconnect',
      'Example',
      '--confirm',
      'Example',
      '--generation',
      String(preview.generation),
      ...why,
      '--json',
    );
    expect((await steward('runs', 'watch', JSON.parse(gone.out).runId, '--exit-status')).code).toBe(0);
    await until(async () => ((await status()).state === 'none' ? true : undefined));

    await approve((await steward('connect-link', 'Example', ...why)).out.trim());
    const back = await until(async () => {
      const now = await status();
      return now.state === 'active' || now.waiting.some((one) => one.state === 'awaiting_confirmation')
        ? now
        : undefined;
    });
    if (back.state !== 'active') expect((await steward('confirm', 'Example', '--yes', ...why)).code).toBe(0);
    await until(async () => ((await status()).hosting['can_host'] === 10 ? true : undefined));
    const restored = await steward('restore', 'Example', ...why, '--json');
    expect((await steward('runs', 'watch', JSON.parse(restored.out).runId, '--exit-status')).code).toBe(0);
    await until(async () => ((await steward('reconcile', '--all', '--plan')).code === 0 ? true : undefined));
  },
  patienceMs,
);

test(
  'SIGTERM stops dev with exit 0, and then there is one sentence',
  async () => {
    dev.kill('SIGTERM');
    const [code] = (await once(dev, 'exit')) as [number];
    expect(code).toBe(0);
    const after = await asProcess('status');
    expect(after).toMatchObject({ code: 1, out: '' });
    expect(after.err).toBe(
      'Expected DATABASE_URL or a running "zoom-steward dev", found neither; set the one or start the other.\n',
    );
  },
  patienceMs,
);
