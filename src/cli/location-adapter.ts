import { StewardError } from '../errors.ts';
import type { LocationAdapter } from '../reconciliation/locations-adapter.ts';

/** The adapter that the environment names, as config.ts reads it: plans need nothing else of the configuration. */
export function locationAdapter(env: (name: string) => string | undefined): LocationAdapter {
  const adapter = env('STEWARD_LOCATIONS') ?? 'rows';
  if (adapter === 'rows' || adapter === 'json') return adapter;
  throw new StewardError(
    'config_invalid',
    `STEWARD_LOCATIONS: expected rows or json, got "${adapter}"; see .env.example.`,
  );
}
