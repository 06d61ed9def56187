import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { experiments, notByCalls } from '../../src/probe/experiments.ts';
import type { ProbeReport } from '../../src/probe/run-probe.ts';
import { pairwiseProfiles } from '../../src/simulator/pairwise.ts';
import { type SimulatorOptions, startSimulator } from '../../src/simulator/start-simulator.ts';
import { profile, type Toggles, toggleNames } from '../../src/simulator/toggles.ts';
import { admin, connect } from '../simulator/visitor.ts';
import { findSecrets } from '../support/canary/encodings.ts';
import { playCli } from './play-cli.ts';

const folder = mkdtempSync(join(tmpdir(), 'zoom-probe-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs the command against a simulator, with a refresh token, and gives what it wrote. */
async function probe(options: SimulatorOptions, ...flags: string[]) {
  const simulator = await startSimulator(options);
  try {
    const { refresh } = await connect(simulator);
    const env = {
      STEWARD_MODE: 'simulator',
      ZOOM_BASE_URL: simulator.url,
      ZOOM_PROBE_CLIENT_ID: admin.clientId,
      ZOOM_PROBE_CLIENT_SECRET: admin.secret,
      ZOOM_PROBE_REFRESH_TOKEN: refresh,
    };
    const played = await playCli(['zoom-probe', '--json', '--out', folder, ...flags], { env });
    expect(played.code, played.err).toBe(0);
    const files = ['zoom-probe.json', 'zoom-probe.md'].map((file) => readFileSync(join(folder, file), 'utf8'));
    const report = JSON.parse(files[0] ?? '') as ProbeReport;
    expect(JSON.parse(played.out)).toEqual(report);
    return { report, text: files.join('\n'), told: played.err, judgement: simulator.judge() };
  } finally {
    await simulator.stop();
  }
}

/** What a report says must be so; what it leaves open it says it leaves open. */
function compare({ readings, notTried }: ProbeReport, toggles: Toggles): string[] {
  expect([...Object.keys(readings), ...Object.keys(notTried)].sort()).toEqual([...toggleNames].sort());
  const told = Object.entries(readings).filter(([, reading]) => reading !== null);
  expect(Object.fromEntries(told)).toEqual(
    Object.fromEntries(told.map(([name]) => [name, toggles[name as keyof Toggles]])),
  );
  return told.map(([name]) => name).sort();
}

const harmless = [
  'api_url',
  'cannot_host_text',
  'clock_skew',
  'dead_token_status',
  'me_fields',
  'missing_scope_status',
  'old_access_token',
  'page_size_above_300',
  'percent_encoded_basic',
  'success_rate_limit_headers',
  'token_error',
  'token_success',
];

describe('the report names the readings that the simulator was set to', () => {
  test.each(['kind', 'cruel'] as const)('under %s, with harmless calls alone', async (name) => {
    const { report, told, judgement } = await probe({ profile: name });
    const known = compare(report, profile(name));
    // Under cruel Zoom says null where it should say the seconds.
    expect(known).toEqual(name === 'kind' ? [...harmless, 'expires_in'].sort() : harmless);
    expect(told.split('\n').filter((line) => /^(me|refresh|large-page): /.test(line))).toHaveLength(3);
    // What is not as documented is what it wants to know.
    expect(judgement.findings.map(({ rule }) => rule)).toEqual(['percent_encoded_basic', 'page_too_large']);
  });

  test.each(['kind', 'cruel'] as const)('under %s, with everything', async (name) => {
    const all = ['limits', 'reuse', 'revoke-by-refresh-token'].flatMap((one) => ['--also', one]);
    const { report } = await probe({ profile: name }, ...all);
    const known = compare(report, profile(name));
    expect(known).toContain('rate_limits');
    expect(known).toContain('refresh_reuse');
    // The family ended with the token that came again: revoking needs a run of its own.
    if (name === 'cruel') expect(report.notTried['revoke_by_refresh_token']).toContain('the grant was gone');
    else expect(known).toContain('revoke_by_refresh_token');
  });

  test('under every shape of a token answer', async () => {
    for (const toggles of pairwiseProfiles().slice(0, 12)) compare((await probe({ toggles })).report, toggles);
  });
});

test('the report holds no token, no secret, no id and no address', async () => {
  const { text } = await probe({ profile: 'kind' });
  expect(findSecrets(text)).toEqual([]);
  expect(text).not.toMatch(/@|zu_|acc_|sim_admin_app/);
  expect(readdirSync(folder).sort()).toEqual(['zoom-probe.json', 'zoom-probe.md']);
});

test('consent by hand: the address comes back through the operator', async () => {
  const simulator = await startSimulator({ profile: 'kind' });
  try {
    const env = {
      STEWARD_MODE: 'simulator',
      ZOOM_BASE_URL: simulator.url,
      ZOOM_PROBE_CLIENT_ID: admin.clientId,
      ZOOM_PROBE_CLIENT_SECRET: admin.secret,
      ZOOM_PROBE_REDIRECT_URI: 'https://steward.test/callback',
    };
    const played = await playCli(['zoom-probe', '--out', folder], {
      env,
      answer: (said) => {
        const back = simulator.control.consent({ authorizeUrl: /https?:\S+/.exec(said)?.[0] ?? '', user: 'zu_admin' });
        return back.kind === 'redirected' ? back.location : '';
      },
    });
    expect(played).toMatchObject({ code: 0 });
    expect(played.out).toContain('| `me_fields` | full |');
    const strange = await playCli(['zoom-probe', '--out', folder], {
      env,
      answers: ['https://steward.test/callback?code=x'],
    });
    expect(strange).toMatchObject({ code: 1, err: expect.stringContaining('state of this consent') });
  } finally {
    await simulator.stop();
  }
});

test('refuses the app that members depend on, and without a secret; plans without either', async () => {
  const env = { ZOOM_PROBE_CLIENT_ID: 'a', ZOOM_ADMIN_CLIENT_ID: 'a' };
  expect(await playCli(['zoom-probe'], { env })).toMatchObject({
    code: 2,
    err: expect.stringContaining('another app'),
  });
  expect(await playCli(['zoom-probe'], { env: { ZOOM_PROBE_CLIENT_ID: 'a' } })).toMatchObject({
    code: 2,
    err: expect.stringContaining('ZOOM_PROBE_CLIENT_SECRET'),
  });
  const planned = await playCli(['zoom-probe', '--plan', '--json']);
  const names = (JSON.parse(planned.out) as { name: string }[]).map(({ name }) => name);
  expect(names).toEqual(experiments.filter(({ danger }) => danger === undefined).map(({ name }) => name));
  expect(await playCli(['zoom-probe', '--also', 'everything'])).toMatchObject({ code: 2 });
});

test('every toggle is read by an experiment, or it is said what that would take', () => {
  const named = [...experiments.flatMap(({ toggles }) => toggles), ...Object.keys(notByCalls)];
  expect([...named].sort()).toEqual([...toggleNames].sort());
});
