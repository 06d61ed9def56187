import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Control } from './control.ts';
import { readBody } from './request.ts';

async function call(
  control: Control,
  message: IncomingMessage,
  maxBytes: number,
): Promise<{ status: number; body: unknown }> {
  const name = (message.url ?? '/').slice(1);
  if (!Object.hasOwn(control, name)) {
    return { status: 404, body: { error: `Expected one of ${Object.keys(control).join(', ')}, got ${name}` } };
  }
  if (message.method !== 'POST') return { status: 405, body: { error: `Expected POST, got ${message.method}` } };
  const text = await readBody(message, maxBytes);
  try {
    const method = control[name as keyof Control] as (args: unknown) => unknown;
    return { status: 200, body: (await method(text === '' ? undefined : JSON.parse(text))) ?? null };
  } catch (error) {
    return { status: 400, body: { error: (error as Error).message } };
  }
}

/** Bulk loads of single users are the longest bodies. */
const longestBody = 256 * 1024 * 1024;

/** POST /{method} with one JSON object calls that method of the control; its result is the answer. */
export function createControlServer(control: Control): Server {
  const respond = async (message: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { status, body } = await call(control, message, longestBody);
    response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
  };
  return createServer((message, response) => {
    respond(message, response).catch(() => response.destroy());
  });
}
