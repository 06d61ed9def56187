import fastify from 'fastify';
import { expect, test } from 'vitest';
import { ApiError } from '../../src/http/api-error.ts';
import { observeMeetings } from '../../src/http/meetings/observe.ts';
import { refuseMeeting } from '../../src/http/meetings/refuse.ts';
import { createTelemetry } from '../../src/telemetry.ts';

test('each meeting is told by what became of it; what was not understood or allowed is none', async () => {
  const telemetry = createTelemetry();
  const told: string[] = [];
  telemetry.on('meeting', ({ action, outcome }) => told.push(`${action} ${outcome}`));
  const app = fastify();
  observeMeetings(app, telemetry);
  app.setErrorHandler((error, _request, reply) => reply.code(error instanceof ApiError ? error.status : 500).send({}));
  let next: () => unknown = () => ({});
  app.post('/v1/meetings', async (_request, reply) => {
    const made = next();
    return reply.code(201).send(made);
  });
  app.delete('/v1/meetings/:meetingRef', async () => next());
  app.get('/v1/meetings/:meetingRef', async () => ({}));
  app.post('/v1/meeting-credentials', async () => next());
  app.post('/v1/other', async () => ({}));
  const ask = (what: () => unknown, method: 'POST' | 'DELETE' | 'GET' = 'POST', url = '/v1/meetings') => {
    next = what;
    return app.inject({ method, url });
  };
  const fail = (error: Error) => () => {
    throw error;
  };
  await ask(() => ({}));
  await ask(fail(refuseMeeting('interrupted')));
  await ask(fail(refuseMeeting('temporarily_unavailable')), 'DELETE', '/v1/meetings/m1');
  await ask(fail(new TypeError('ours')));
  await ask(fail(new ApiError(401, 'unauthorized', 'who are you')));
  await ask(() => ({}), 'GET', '/v1/meetings/m1');
  await ask(() => ({}), 'POST', '/v1/other');
  await ask(fail(refuseMeeting('choose_host')), 'POST', '/v1/meeting-credentials');
  const expected = ['create done', 'create interrupted', 'delete temporarily_unavailable', 'create internal'];
  expect(told).toEqual([...expected, 'credentials choose_host']);
  await app.close();
});
