import { subscribe } from 'node:diagnostics_channel';
import type { FastifyInstance } from 'fastify';
import { watch } from './watch.ts';

const textOf = (payload: unknown): string | Uint8Array | null =>
  typeof payload === 'string' || payload instanceof Uint8Array ? payload : null;

/** From now on every answer of every app that is made here is watched: pages and the API, headers and bodies. */
export function watchAnswers(): void {
  subscribe('fastify.initialization', (message) => {
    const { fastify } = message as { fastify: FastifyInstance };
    fastify.addHook('onSend', async (request, reply, payload) => {
      for (const [name, value] of Object.entries(reply.getHeaders()))
        for (const one of [value].flat()) watch('http header', `${name}: ${String(one)}`);
      const text = textOf(payload);
      const route = `${request.method} ${request.routeOptions.url ?? ''}`;
      if (text !== null)
        watch('http body', `${route}\n${typeof text === 'string' ? text : Buffer.from(text).toString('latin1')}`);
      return payload;
    });
  });
}
