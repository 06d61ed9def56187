import { type Answer, json, page } from './answers.ts';
import { permissionText } from './api-access.ts';
import type { Fault } from './faults.ts';
import { tooManyRequests } from './rate-limits.ts';
import type { ZoomState } from './zoom-state.ts';

/** Where a redirect fault leads: whoever comes here followed it. */
export const trapPath = '/redirected';

/** Zoom's number for a permission that is missing: not the HTTP status, though it looks like one. */
const refusedCode = 200;

/** What a fault answers instead of Zoom; undefined: it does something to the connection or to time. */
export function faultyAnswer(state: ZoomState, fault: Fault): Answer | undefined {
  const headers = fault.headers ?? {};
  switch (fault.kind) {
    case 'server_error':
      return { ...json(fault.status ?? 503, { code: 500, message: 'Internal server error.' }), headers };
    case 'too_many_requests': {
      const limited = tooManyRequests(state.toggles(), state.clock.nowMs(), {
        daily: fault.daily ?? false,
        label: 'medium',
        limit: 60,
      });
      return { ...limited, headers: { ...limited.headers, ...headers } };
    }
    case 'error_in_200': {
      const code = fault.code ?? (fault.probability === undefined ? refusedCode : 500);
      const message = code === refusedCode ? permissionText : 'Internal server error.';
      return { ...json(200, { code, message }), headers };
    }
    case 'html':
      return { ...page(fault.status ?? 502, '<h1>Service unavailable</h1>'), headers };
    case 'redirect':
      return {
        status: fault.status ?? 307,
        headers: { Location: `${state.baseUrl}${trapPath}`, ...headers },
        body: '',
        contentType: 'text/plain',
      };
    case 'answer':
      return { status: fault.status ?? 200, headers, body: fault.body ?? '', contentType: 'application/json' };
    default:
      return undefined;
  }
}
