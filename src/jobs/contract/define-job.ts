import { StewardError } from '../../errors.ts';
import { type JobDefinition, type Payload, queueNames } from './definition.ts';

const maxAttempts = 25;
const maxTimeoutMs = 15 * 60_000;

/**
 * A job: inert and frozen; importing one does nothing. Options are checked here, when the module loads.
 * @throws StewardError `job_invalid`
 */
export function defineJob<const P extends Payload>(
  options: Omit<JobDefinition<P>, 'aliases'> & { readonly aliases?: readonly string[] },
): JobDefinition<P> {
  const wrong = (what: string): never => {
    throw new StewardError('job_invalid', `Job ${options.name}: ${what}`, { context: { job: options.name } });
  };
  if (!/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(options.name)) wrong('expected a kebab-case name');
  if (!queueNames.includes(options.queue)) wrong(`expected a queue of ${queueNames.join(', ')}, got ${options.queue}`);
  if (!Number.isInteger(options.version) || options.version < 1) wrong('expected a payload version from 1');
  if (!Number.isInteger(options.attempts) || options.attempts < 1 || options.attempts > maxAttempts)
    wrong(`expected 1 to ${maxAttempts} attempts, got ${options.attempts}`);
  if (!(options.timeoutMs > 0 && options.timeoutMs <= maxTimeoutMs))
    wrong(`expected a time-out of at most ${maxTimeoutMs} ms, got ${options.timeoutMs}`);
  return Object.freeze({ ...options, aliases: Object.freeze([...(options.aliases ?? [])]) });
}

/**
 * The payload, parsed strictly.
 * @throws StewardError `payload_invalid`, naming what is wrong and no value
 */
export function parsePayload<P extends Payload>(definition: JobDefinition<P>, given: unknown): P {
  const result = definition.payload.safeParse(given);
  if (result.success) return result.data;
  const problems = result.error.issues.map((issue) => `${issue.path.join('.') || 'payload'}: ${issue.message}`);
  throw new StewardError(
    'payload_invalid',
    `Payload of ${definition.name} (version ${definition.version}) does not parse: ${problems.join('; ')}. Drop it, or replay it from a worker that knows it.`,
    { context: { job: definition.name, version: definition.version } },
  );
}
