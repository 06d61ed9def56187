import { StewardError } from '../errors.ts';

export type InstallationQueue = { readonly queue: 'postgres' | 'redis'; readonly queuePrefix: string };

const defaultPrefix = 'steward';

/** The queue that the environment names, as config.ts reads it; migrate needs nothing else of the configuration. */
export function installationQueue(env: (name: string) => string | undefined): InstallationQueue {
  const queue = env('STEWARD_QUEUE') ?? (env('REDIS_URL') === undefined ? 'postgres' : 'redis');
  if (queue !== 'postgres' && queue !== 'redis')
    throw new StewardError(
      'config_invalid',
      `STEWARD_QUEUE: expected postgres or redis, got "${queue}"; see .env.example.`,
    );
  return { queue, queuePrefix: env('STEWARD_QUEUE_PREFIX') ?? defaultPrefix };
}
