import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

const unreachable = /\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ENETUNREACH|EHOSTUNREACH|ETIMEDOUT|ENOTCACHED)\b/;

/** Whether npm failed because no registry answered, and not because of what was asked. */
const registryIsAway = (error: unknown): boolean =>
  unreachable.test(`${String(error)} ${String((error as { stderr?: unknown } | undefined)?.stderr)}`);

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

const patienceMs = 15_000;

/** Asks the registry for one version, without the minutes for which an install tries again. */
export function askRegistry(cwd: string): void {
  // A cache of its own: where no registry answers, npm takes what it knows from before for an answer.
  const args = ['view', 'npm', 'version', '--fetch-retries=0', '--loglevel=error', `--cache=${join(cwd, 'npm-cache')}`];
  execFileSync('npm', args, { cwd, encoding: 'utf8', stdio: 'pipe', timeout: patienceMs, killSignal: 'SIGKILL' });
}
