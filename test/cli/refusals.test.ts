import { describe, expect, test } from 'vitest';
import { useDatabase } from '../support/database.ts';
import { playCli } from './play-cli.ts';

const database = useDatabase();
const nowhere = 'postgres://nobody@127.0.0.1:1/none';

describe('exit codes and messages', () => {
  const cases: readonly (readonly [line: string, code: number, says: RegExp])[] = [
    ['nonsense', 2, /unknown command 'nonsense'/],
    ['statsu', 2, /Did you mean status\?/],
    ['status --colour', 2, /unknown option '--colour'[\s\S]*See zoom-steward status --help/],
    ['members', 2, /missing required argument 'organization'/],
    ['members X --limit 0', 2, /Expected a whole number from 1 to 100000/],
    ['members X --hosting maybe', 2, /Allowed choices are can_host/],
    ['pause everything --reason x', 2, /Expected one of all, writes, zoom, declaring, observe, got "everything"/],
    ['members X --after zzz', 2, /Expected the id of a member/],
    ['demo --break nothing', 2, /got "nothing"; the checks are:\n {2}everyone is served/],
    ['demo --members 9', 2, /Expected a whole number from 10/],
    ['zoom-simulator --toggle nope=1', 2, /Expected a toggle \(revoke_reach, .*got nope; docs\/zoom-simulator.md/],
    [
      'zoom-simulator --toggle revoke_reach=moon',
      2,
      /Expected a reading of revoke_reach \(token, user, account\), got moon/,
    ],
    ['runs list --state lost', 2, /Allowed choices/],
    ['disconnect X --preview --confirm X', 2, /cannot be used with/],
    ['reconcile --plan', 1, /Expected an organization or --all, got neither/],
    ['reconcile X', 1, /Expected --plan or --apply, got neither/],
    ['reconcile X --plan --apply', 1, /cannot be used with/],
    [
      'status Nobody',
      1,
      /Expected the id or name of an organization, got "Nobody", which none has; the main app has no organization yet/,
    ],
    ['explain nobody@example.com', 1, /Expected the id or the e-mail address of one member/],
    ['runs show abcd', 1, /Expected the id of a run, got "abcd"/],
    ['pause writes', 3, /Expected a reason for what this changes, got none; add --reason/],
    ['pause writes --no-input', 3, /Expected a reason/],
  ];
  for (const [line, code, says] of cases)
    test(`${line} → ${code}`, async () => {
      const played = await playCli(line.split(' '), { env: { DATABASE_URL: database.url } });
      expect(played.err).toMatch(says);
      expect(played).toMatchObject({ code, out: '' });
    });

  test('--help is an answer on stdout, exit 0', async () => {
    const played = await playCli(['status', '--help']);
    expect(played).toMatchObject({ code: 0, err: '' });
    expect(played.out).toMatch(/^Examples:\n {2}\$ zoom-steward status\n/);
  });

  test('with --json an error is JSON too, on stderr', async () => {
    const played = await playCli(['status', 'Nobody', '--json'], { env: { DATABASE_URL: database.url } });
    expect(played.out).toBe('');
    expect(JSON.parse(played.err)).toMatchObject({ error: { code: 'organization_not_found' } });
  });

  test.each([
    ['members', /missing required argument/],
    ['statsu', /Did you mean status/],
    ['members X --limit 0', /Expected a whole number/],
  ])('so is what was typed wrongly: %s --json', async (line, says) => {
    const played = await playCli([...line.split(' '), '--json']);
    expect(played).toMatchObject({ code: 2, out: '' });
    expect(JSON.parse(played.err)).toMatchObject({ error: { code: 'usage', message: expect.stringMatching(says) } });
  });

  test('a database that is not there, and one without our schema, are sentences', async () => {
    const away = await playCli(['status'], { env: { DATABASE_URL: nowhere } });
    expect(away.code).toBe(1);
    expect(away.err).toMatch(/^Expected a database at DATABASE_URL, got: .*Check the address/);
    const empty = await playCli(['status'], { env: { DATABASE_URL: database.url.replace(/[^/]*$/, 'postgres') } });
    expect(empty.code).toBe(1);
    expect(empty.err).toContain('Run "zoom-steward migrate" first.');
  });

  test('interrupted by a signal: 130, and nothing is asked twice', async () => {
    const played = await playCli(['status'], { env: { DATABASE_URL: nowhere }, signal: AbortSignal.abort('SIGINT') });
    expect(played.code).toBe(130);
  });
});
