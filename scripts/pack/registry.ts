const unreachable = /\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ENETUNREACH|EHOSTUNREACH|ETIMEDOUT|ENOTCACHED)\b/;

/** Whether npm failed because no registry answered, and not because of what was asked. */
const registryIsAway = (error: unknown): boolean =>
  unreachable.test(String((error as { stderr?: unknown } | undefined)?.stderr ?? ''));

/** What became of a step that installs from the registry. */
export type Outcome = 'done' | 'not checked';

/**
 * Runs a step that needs the registry. Where none answers the step is left out and the caller says so; under CI leaving
 * out is failing.
 */
export async function withRegistry(step: () => Promise<void>, ci: boolean): Promise<Outcome> {
  try {
    await step();
    return 'done';
  } catch (error) {
    if (ci || !registryIsAway(error)) throw error;
    return 'not checked';
  }
}
