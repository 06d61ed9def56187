import type { Finding } from './judge.ts';
import { answerWithinMs } from './webhook-request.ts';
import type { WebhookAttempt } from './webhooks.ts';

/** What is wrong with one answer to a webhook; null: nothing. 5xx is a right answer: it says "not stored, again". */
function offenceOf({ event, status, ms, valid }: WebhookAttempt): string | null {
  if (status === null || ms > answerWithinMs) return 'webhook_answered_late';
  if (status >= 500) return null;
  if (event === 'endpoint.url_validation') return valid ? null : 'validation_answered_wrong';
  if (status === 200 || status === 204) return null;
  return status >= 400 ? 'webhook_answered_4xx' : 'webhook_answered_otherwise';
}

/** Judges the answers that webhooks got. `calls` are numbers of attempts, not of the ledger. */
export function judgeWebhooks(attempts: readonly WebhookAttempt[]): Finding[] {
  return attempts.flatMap((attempt) => {
    const rule = offenceOf(attempt);
    const detail = `${attempt.event}, attempt ${attempt.attempt}: ${attempt.status ?? 'no answer'} after ${Math.round(attempt.ms)} ms`;
    return rule === null ? [] : [{ rule, calls: [attempt.n], detail }];
  });
}
