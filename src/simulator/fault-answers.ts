import { type Answer, json, page } from './answers.ts';
import type { Fault } from './faults.ts';
import { tooManyRequests } from './rate-limits.ts';
import type { ZoomState } from './zoom-state.ts';

/** Where a redirect fault leads: whoever comes here followed it. */
export const trapPath = '/redirected';

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
    case 'error_in_200':
      return {
        ...json(200, { code: 200, message: 'You do not have the permission to access this information.' }),
        headers,
      };
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
