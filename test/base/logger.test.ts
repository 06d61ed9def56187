import { Writable } from 'node:stream';
import { expect, test } from 'vitest';
import { StewardError } from '../../src/errors.ts';
import { createLogger, type Logger } from '../../src/logger.ts';
import { scrub } from '../../src/scrub.ts';
import { Secret } from '../../src/secret.ts';

const canary = 'CANARY7f3a9c';
const jwt = `eyJhbGciOiJIUzI1NiJ9.${canary}payload.${canary}signature`;

function logged(work: (log: Logger) => void): string {
  let text = '';
  const destination = new Writable({
    write(chunk, _encoding, done) {
      text += String(chunk);
      done();
    },
  });
  work(createLogger({ level: 'trace', destination }));
  return text;
}

test.each([
  ['a Secret, however deep', (log: Logger) => log.info({ a: { b: { c: { d: [new Secret(canary)] } } } }, 'x')],
  [
    'fields with names of secrets',
    (log: Logger) =>
      log.info({ accessToken: canary, grant: { refreshToken: canary, deep: { clientSecret: canary } } }, 'x'),
  ],
  [
    'an error whose message quotes a token',
    (log: Logger) => log.error({ err: new Error(`POST failed: refresh_token=${canary}&x=1`) }, 'x'),
  ],
  [
    'an error’s cause',
    (log: Logger) =>
      log.error({ err: new Error('outer', { cause: new Error(`Authorization: Bearer ${canary}`) }) }, 'x'),
  ],
  [
    'a database URL in an error',
    (log: Logger) => log.error({ err: new Error(`connect postgres://steward:${canary}@db/x`) }, 'x'),
  ],
  ['a token that is a JWT', (log: Logger) => log.error({ err: new Error(`unexpected ${jwt}`) }, 'x')],
  [
    'a request’s query',
    (log: Logger) => log.info({ req: { method: 'GET', url: `/zoom/callback?code=${canary}&state=${canary}` } }, 'x'),
  ],
])('does not show %s', (_what, work) => {
  const text = logged(work);
  expect(text).toContain('"msg":"x"');
  expect(text).not.toContain(canary);
});

test('shows what helps: code, context, cause and where', () => {
  const text = logged((log) =>
    log.error(
      {
        err: new StewardError('schema_older', 'run "zoom-steward migrate"', {
          context: { missing: 2 },
          cause: new Error('inner'),
        }),
      },
      'x',
    ),
  );
  const [line] = text
    .trim()
    .split('\n')
    .map((each) => JSON.parse(each));
  expect(line.err).toMatchObject({ code: 'schema_older', context: { missing: 2 }, cause: { message: 'inner' } });
  expect(line.err.stack).toContain('logger.test.ts');
});

test('leaves harmless text alone', () => {
  const text = 'Run 6f9619ff-8b86-4011-b42d-00cf4fc964ff: 12 of 40 members, state active, see docs/queues.md';
  expect(scrub(text)).toBe(text);
});
