import { StewardError } from '../../errors.ts';
import type { QueueSystem } from '../../queues/queue.ts';
import { scrub } from '../../scrub.ts';
import { databaseChecks } from './database-checks.ts';
import type { Check, Finding, Need, Patient, Verdict } from './finding.ts';
import { setupChecks } from './setup-checks.ts';
import { workChecks } from './work-checks.ts';

/** Everything that is looked at, in the order in which one thing needs another. */
const doctorChecks: readonly Check[] = [...databaseChecks, ...setupChecks, ...workChecks];

function failed(error: unknown): Verdict {
  const { code, message } = error as { code?: string; message?: string };
  if (error instanceof StewardError) return { state: 'fail', found: error.code, mend: error.message };
  return {
    state: 'fail',
    found: scrub(`${code === undefined ? '' : `${code}: `}${message || String(error)}`),
    mend: 'the message says what was refused; with "permission denied" see the check "roles"',
  };
}

const passes = ({ state }: Verdict): boolean => state === 'ok' || state === 'warn';

/**
 * Looks at everything that can be wrong. Never throws; what needs something that is broken is skipped and says so.
 * Reads only, and asks Zoom nothing.
 */
export async function examine(patient: Patient): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  const broken = new Set<Need>(patient.config === null ? ['configuration'] : []);
  const needs: readonly string[] = ['database', 'schema', 'queue'] satisfies Need[];
  let queue: QueueSystem | undefined;
  try {
    for (const { name, needs: wanted, look } of doctorChecks) {
      const lacking = wanted.filter((need) => broken.has(need));
      let verdict: Verdict;
      if (lacking.length > 0) {
        verdict = {
          state: 'skipped',
          found: `not looked at without ${lacking.join(', ')}`,
          mend: `mend ${lacking.join(', ')} first`,
        };
      } else {
        const ofQueue = async (): Promise<QueueSystem> => {
          queue ??= await patient.openQueue();
          return queue;
        };
        verdict = await (wanted.includes('queue') || name === 'queue'
          ? ofQueue().then((opened) => look({ ...patient, queue: opened }))
          : look({ ...patient, queue: undefined as never })
        ).catch(failed);
      }
      if (!passes(verdict) && needs.includes(name)) broken.add(name as Need);
      findings.push({ name, ...verdict });
    }
    return findings;
  } finally {
    await queue?.close();
  }
}
