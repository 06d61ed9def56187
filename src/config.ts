import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { StewardError } from './errors.ts';
import type { LogLevel } from './logger.ts';
import { Secret } from './secret.ts';

/** Where variables come from: name to text. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** One of our two Zoom apps as configured; secrets are tried in order on `invalid_client`. */
export type ZoomClientConfig = { readonly clientId: string; readonly secrets: readonly Secret[] };

/** The whole configuration of a process: parsed once, frozen; what is secret is a `Secret`. */
export type Config = Readonly<{
  mode: 'production' | 'development' | 'simulator';
  databaseUrl: Secret;
  /** connections of the worker's own pool; the queue has a second one */
  poolSize: number;
  queue: 'postgres' | 'redis';
  /** one URL, or those of several nodes of a cluster, separated by commas */
  redisUrl: Secret | null;
  /** names of queues begin with it; on Redis it is also the hash tag */
  queuePrefix: string;
  /** jobs of each queue at once in this process */
  concurrency: Readonly<{ quick: number; bulk: number; zoom: number }>;
  /** how long a slice of a long run lasts before it hands over */
  sliceMs: number;
  /** members or event types in a chunk: one transaction */
  chunkSize: number;
  /** how long a chunk may take before the next one is smaller; 0: they all have chunkSize */
  chunkMs: number;
  /** connections a run of a large organization works on at once: 2, or 1 */
  runLanes: number;
  /** whether events for the main app are put on its queue, or read by SQL and HTTP alone */
  events: 'queue' | 'sql';
  /** how often the outbox is looked at without a hint */
  outboxPollMs: number;
  /** how often due work is looked for */
  tickMs: number;
  /** from the first signal to the hard exit */
  shutdownMs: number;
  keys: Readonly<{ ring: readonly { readonly id: string; readonly key: Secret }[]; activeId: string }>;
  zoom: Readonly<{
    admin: ZoomClientConfig;
    /** null: personal connections are only external */
    personal: ZoomClientConfig | null;
    /** secret tokens with which Zoom signs webhooks; none: that app's path answers 503 */
    webhookSecrets: Readonly<{ admin: readonly Secret[]; personal: readonly Secret[] }>;
    /** null: Zoom's own hosts; set only in simulator mode */
    baseUrl: string | null;
    /** privileges that the authorizing Zoom user must have, and whose lack only warns; null: the defaults */
    requiredPermissions: readonly string[] | null;
    wishedPermissions: readonly string[] | null;
    /** our share of Zoom's rate limits */
    share: number;
  }>;
  publicUrl: string;
  http: Readonly<{ host: string; port: number }>;
  /** probes and metrics; port null: none */
  operating: Readonly<{ host: string; port: number | null }>;
  /** a worker that starts nothing for so long, although it could, ends itself; 0: never */
  watchdogMs: number;
  /** with which the main app signs member claims; null: nothing is done for members over HTTP */
  claimSecret: Secret | null;
  /** calls about meetings within a minute; 0: as many as come */
  meetingQuotas: Readonly<{ perKey: number; perOrganization: number }>;
  locationAdapter: 'rows' | 'json';
  /** a run outside a disconnect that takes Zoom from more than this share of the served members waits for a person */
  guardShare: number;
  /** where new pairs go, sealed, while the database cannot take them; null: they are kept in memory only */
  journalFile: string | null;
  logLevel: LogLevel;
}>;

const whole = (from: number, to: number, otherwise: number) =>
  z
    .string()
    .regex(/^\d+$/, { error: `expected a whole number from ${from} to ${to}` })
    .transform(Number)
    .refine((value) => value >= from && value <= to, { error: `expected a whole number from ${from} to ${to}` })
    .default(otherwise);

const share = (otherwise: number) =>
  z
    .string()
    .regex(/^(0?\.\d+|0|1|1\.0+)$/, { error: 'expected a share between 0 and 1, like 0.1' })
    .transform(Number)
    .default(otherwise);

const url = (protocols: readonly string[], example: string) =>
  z
    .string({ error: `expected a URL like ${example}, got nothing` })
    .refine((text) => URL.canParse(text) && protocols.includes(new URL(text).protocol), {
      error: `expected a URL like ${example}`,
    });

const redisUrl = url(['redis:', 'rediss:'], 'redis://host:6379');
const redisUrls = z.string().superRefine((text, context) => {
  const nodes = text.split(',').map((part) => part.trim());
  if (!nodes.every((node) => redisUrl.safeParse(node).success))
    context.addIssue({
      code: 'custom',
      message: 'expected a URL like redis://host:6379, or those of several nodes of a cluster, separated by commas',
    });
  else if (nodes.length > 1 && nodes.some((node) => !/^\/?0?$/.test(new URL(node).pathname)))
    context.addIssue({
      code: 'custom',
      message: 'expected no database number because several nodes are named; a cluster has only database 0',
    });
});

const clientId = (app: string) =>
  z.string({ error: `expected the client id of the ${app} Zoom app, got nothing` }).min(1);

const secretList = z
  .string({ error: 'expected one or several client secrets, separated by commas, got nothing' })
  .transform((text) =>
    text
      .split(',')
      .map((part) => part.trim())
      .filter((part) => part !== ''),
  )
  .refine((parts) => parts.length > 0, { error: 'expected one or several client secrets, separated by commas' })
  .transform((parts) => parts.map((part) => new Secret(part)));

/** Privileges as GET /users/me/permissions names them, e.g. User:Read; `none` for an empty list. */
const privileges = z
  .string()
  .transform((text) => (text.trim() === 'none' ? [] : text.split(',').map((part) => part.trim())))
  .refine((names) => names.every((name) => /^[A-Za-z][A-Za-z0-9]*:[A-Za-z]+$/.test(name)), {
    error: 'expected privileges like User:Read,User:Edit, or none',
  });

const keyBytes = 32;
const keyRing = z
  .string({
    error:
      'expected the key ring as id:base64 pairs of 32 random bytes, separated by commas, got nothing; make one with: echo "k1:$(openssl rand -base64 32)"',
  })
  .transform((text, context) => {
    const ring: { id: string; key: Secret }[] = [];
    for (const part of text.split(/[\s,]+/).filter((piece) => piece !== '')) {
      const [, id, base64] = /^([A-Za-z0-9_-]{1,32}):([A-Za-z0-9+/_-]+=*)$/.exec(part) ?? [];
      if (id === undefined || base64 === undefined || Buffer.from(base64, 'base64').length !== keyBytes) {
        context.addIssue({
          code: 'custom',
          message: `expected each key as id:base64 of ${keyBytes} bytes, got something else at place ${ring.length + 1}`,
        });
        return z.NEVER;
      }
      if (ring.some((key) => key.id === id)) {
        context.addIssue({ code: 'custom', message: `expected each key id once, got ${id} twice` });
        return z.NEVER;
      }
      ring.push({ id, key: new Secret(base64) });
    }
    if (ring.length === 0) {
      context.addIssue({ code: 'custom', message: 'expected at least one key, got none' });
      return z.NEVER;
    }
    return ring;
  });

const variables = z.object({
  STEWARD_MODE: z
    .enum(['production', 'development', 'simulator'], { error: 'expected production, development or simulator' })
    .default('production'),
  DATABASE_URL: url(['postgres:', 'postgresql:'], 'postgres://user:password@host:5432/database'),
  STEWARD_POOL_SIZE: whole(2, 500, 12),
  STEWARD_QUEUE: z.enum(['postgres', 'redis'], { error: 'expected postgres or redis' }).optional(),
  REDIS_URL: redisUrls.optional(),
  STEWARD_QUEUE_PREFIX: z
    .string()
    .regex(/^[a-z][a-z0-9-]{0,30}$/, { error: 'expected lower-case letters, digits and dashes, at most 31' })
    .default('steward'),
  STEWARD_EVENTS: z.enum(['queue', 'sql'], { error: 'expected queue or sql' }).default('queue'),
  STEWARD_CONCURRENCY_QUICK: whole(1, 200, 4),
  STEWARD_CONCURRENCY_BULK: whole(1, 50, 2),
  STEWARD_CONCURRENCY_ZOOM: whole(1, 200, 4),
  STEWARD_SLICE_MS: whole(10, 60_000, 1_000),
  STEWARD_CHUNK_SIZE: whole(1, 100_000, 5_000),
  STEWARD_CHUNK_MS: whole(0, 10_000, 400),
  STEWARD_RUN_LANES: whole(1, 2, 2),
  STEWARD_OUTBOX_POLL_MS: whole(20, 60_000, 1_000),
  STEWARD_TICK_MS: whole(100, 600_000, 15_000),
  STEWARD_SHUTDOWN_MS: whole(1_000, 600_000, 30_000),
  STEWARD_KEYS: keyRing,
  STEWARD_ACTIVE_KEY: z.string().optional(),
  STEWARD_JOURNAL_FILE: z.string().startsWith('/', { error: 'expected an absolute path' }).optional(),
  ZOOM_ADMIN_CLIENT_ID: clientId('admin'),
  ZOOM_ADMIN_CLIENT_SECRETS: secretList,
  ZOOM_ADMIN_WEBHOOK_SECRETS: secretList.default([]),
  ZOOM_PERSONAL_CLIENT_ID: clientId('personal').optional(),
  ZOOM_PERSONAL_CLIENT_SECRETS: secretList.optional(),
  ZOOM_PERSONAL_WEBHOOK_SECRETS: secretList.default([]),
  ZOOM_EXTERNAL_CLIENT_IDS: z
    .string()
    .transform((text) => text.split(',').map((part) => part.trim()))
    .default([]),
  ZOOM_BASE_URL: url(['http:', 'https:'], 'http://127.0.0.1:4010').optional(),
  ZOOM_REQUIRED_PERMISSIONS: privileges.optional(),
  ZOOM_WISHED_PERMISSIONS: privileges.optional(),
  ZOOM_RATE_SHARE: share(0.25),
  STEWARD_PUBLIC_URL: url(['http:', 'https:'], 'https://zoom.example.com'),
  STEWARD_HOST: z.string().min(1).default('127.0.0.1'),
  STEWARD_PORT: whole(0, 65_535, 4_000),
  STEWARD_METRICS_HOST: z.string().min(1).default('127.0.0.1'),
  STEWARD_METRICS_PORT: z
    .string()
    .regex(/^\d{1,5}$/, { error: 'expected a port from 0 to 65535' })
    .transform(Number)
    .refine((port) => port <= 65_535, { error: 'expected a port from 0 to 65535' })
    .optional(),
  STEWARD_WATCHDOG_MS: whole(0, 3_600_000, 60_000),
  STEWARD_CLAIM_SECRET: z
    .string()
    .min(32, { error: 'expected at least 32 characters; make it with: openssl rand -base64 48' })
    .optional(),
  STEWARD_MEETINGS_PER_KEY: whole(0, 1_000_000, 3_000),
  STEWARD_MEETINGS_PER_ORGANIZATION: whole(0, 1_000_000, 600),
  STEWARD_LOCATIONS: z.enum(['rows', 'json'], { error: 'expected rows or json' }).default('rows'),
  STEWARD_GUARD_SHARE: share(0.1),
  STEWARD_KEEP_RUNS_DAYS: whole(7, 36_500, 90),
  STEWARD_KEEP_EVENTS_DAYS: whole(1, 36_500, 30),
  STEWARD_KEEP_AUDIT_DAYS: whole(1, 36_500, 730),
  STEWARD_LOG_LEVEL: z
    .enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'], {
      error: 'expected trace, debug, info, warn, error, fatal or silent',
    })
    .default('info'),
});

/** Variables `config.ts` knows, for `.env.example` and its test. */
export const configVariables: readonly string[] = [...Object.keys(variables.shape), 'STEWARD_KEYS_FILE'];

type Parsed = z.infer<typeof variables>;

const isLoopback = (text: string): boolean => ['localhost', '127.0.0.1', '[::1]'].includes(new URL(text).hostname);

/** What single variables cannot say: one line a problem, beginning with the variable's name. */
function contradictions(parsed: Partial<Parsed>): string[] {
  const problems: string[] = [];
  const mode = parsed.STEWARD_MODE;
  if (parsed.STEWARD_QUEUE === 'redis' && parsed.REDIS_URL === undefined)
    problems.push('REDIS_URL: expected a URL because STEWARD_QUEUE is redis, got nothing');
  if (mode !== undefined && mode !== 'simulator' && parsed.ZOOM_BASE_URL !== undefined)
    problems.push(
      `ZOOM_BASE_URL: expected nothing in ${mode} mode; another address than Zoom's needs STEWARD_MODE=simulator`,
    );
  if (mode === 'simulator' && parsed.ZOOM_BASE_URL === undefined)
    problems.push(
      'ZOOM_BASE_URL: expected the address of the simulator because STEWARD_MODE is simulator, got nothing',
    );
  if (
    mode === 'production' &&
    parsed.STEWARD_PUBLIC_URL !== undefined &&
    new URL(parsed.STEWARD_PUBLIC_URL).protocol !== 'https:' &&
    !isLoopback(parsed.STEWARD_PUBLIC_URL)
  )
    problems.push('STEWARD_PUBLIC_URL: expected https in production; links and cookies travel there');
  if (parsed.ZOOM_PERSONAL_CLIENT_ID !== undefined && parsed.ZOOM_PERSONAL_CLIENT_SECRETS === undefined)
    problems.push(
      'ZOOM_PERSONAL_CLIENT_SECRETS: expected a secret because ZOOM_PERSONAL_CLIENT_ID is set, got nothing',
    );
  if (parsed.ZOOM_PERSONAL_CLIENT_ID !== undefined && parsed.ZOOM_PERSONAL_CLIENT_ID === parsed.ZOOM_ADMIN_CLIENT_ID)
    problems.push(
      'ZOOM_PERSONAL_CLIENT_ID: expected another app than ZOOM_ADMIN_CLIENT_ID; one grant must have one purpose',
    );
  // A grant has exactly one refresher.
  for (const app of ['ZOOM_ADMIN_CLIENT_ID', 'ZOOM_PERSONAL_CLIENT_ID'] as const)
    if (parsed[app] !== undefined && parsed.ZOOM_EXTERNAL_CLIENT_IDS?.includes(parsed[app]))
      problems.push(
        `ZOOM_EXTERNAL_CLIENT_IDS: expected other apps than ${app}; two that refresh one grant end it for both`,
      );
  if (parsed.ZOOM_PERSONAL_CLIENT_ID === undefined && (parsed.ZOOM_PERSONAL_WEBHOOK_SECRETS ?? []).length > 0)
    problems.push('ZOOM_PERSONAL_WEBHOOK_SECRETS: expected nothing without ZOOM_PERSONAL_CLIENT_ID');
  if (
    parsed.STEWARD_KEYS &&
    parsed.STEWARD_ACTIVE_KEY !== undefined &&
    !parsed.STEWARD_KEYS.some((key) => key.id === parsed.STEWARD_ACTIVE_KEY)
  )
    problems.push('STEWARD_ACTIVE_KEY: expected the id of a key in STEWARD_KEYS, got another');
  return problems;
}

function withKeyFile(environment: Environment, problems: string[]): Environment {
  const file = environment['STEWARD_KEYS_FILE'];
  if (file === undefined || environment['STEWARD_KEYS'] !== undefined) return environment;
  try {
    return { ...environment, STEWARD_KEYS: readFileSync(file, 'utf8') };
  } catch (error) {
    problems.push(
      `STEWARD_KEYS_FILE: expected a readable file, got ${(error as NodeJS.ErrnoException).code ?? 'an error'}`,
    );
    return environment;
  }
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !(value instanceof Secret) && !Object.isFrozen(value)) {
    Object.freeze(value);
    Object.values(value).forEach(deepFreeze);
  }
  return value;
}

/**
 * Parses variables into the configuration.
 * @throws StewardError `config_invalid`, naming every problem by its variable and no value
 */
export function parseConfig(given: Environment): Config {
  const problems: string[] = [];
  // An empty variable is what compose files and shells make of "not set".
  const environment = withKeyFile(
    Object.fromEntries(Object.entries(given).filter(([, text]) => text !== '')),
    problems,
  );
  const result = variables.safeParse(environment);
  for (const issue of result.error?.issues ?? []) problems.push(`${String(issue.path[0])}: ${issue.message}`);
  const readable = Object.fromEntries(
    Object.entries(variables.shape).flatMap(([name, schema]) => {
      const one = (schema as z.ZodType).safeParse(environment[name]);
      return one.success ? [[name, one.data]] : [];
    }),
  ) as Partial<Parsed>;
  problems.push(...contradictions(readable));
  if (!result.success || problems.length > 0)
    throw new StewardError(
      'config_invalid',
      `The configuration has ${problems.length === 1 ? 'a problem' : `${problems.length} problems`}; see .env.example.\n${problems.map((line) => `  ${line}`).join('\n')}`,
      { context: { problems: problems.length } },
    );
  const v = result.data;
  const config: Config = {
    mode: v.STEWARD_MODE,
    databaseUrl: new Secret(v.DATABASE_URL),
    poolSize: v.STEWARD_POOL_SIZE,
    queue: v.STEWARD_QUEUE ?? (v.REDIS_URL === undefined ? 'postgres' : 'redis'),
    redisUrl: v.REDIS_URL === undefined ? null : new Secret(v.REDIS_URL),
    queuePrefix: v.STEWARD_QUEUE_PREFIX,
    concurrency: {
      quick: v.STEWARD_CONCURRENCY_QUICK,
      bulk: v.STEWARD_CONCURRENCY_BULK,
      zoom: v.STEWARD_CONCURRENCY_ZOOM,
    },
    sliceMs: v.STEWARD_SLICE_MS,
    chunkSize: v.STEWARD_CHUNK_SIZE,
    chunkMs: v.STEWARD_CHUNK_MS,
    runLanes: v.STEWARD_RUN_LANES,
    events: v.STEWARD_EVENTS,
    outboxPollMs: v.STEWARD_OUTBOX_POLL_MS,
    tickMs: v.STEWARD_TICK_MS,
    shutdownMs: v.STEWARD_SHUTDOWN_MS,
    keys: { ring: v.STEWARD_KEYS, activeId: v.STEWARD_ACTIVE_KEY ?? (v.STEWARD_KEYS[0]?.id as string) },
    zoom: {
      admin: { clientId: v.ZOOM_ADMIN_CLIENT_ID, secrets: v.ZOOM_ADMIN_CLIENT_SECRETS },
      personal:
        v.ZOOM_PERSONAL_CLIENT_ID === undefined || v.ZOOM_PERSONAL_CLIENT_SECRETS === undefined
          ? null
          : { clientId: v.ZOOM_PERSONAL_CLIENT_ID, secrets: v.ZOOM_PERSONAL_CLIENT_SECRETS },
      webhookSecrets: { admin: v.ZOOM_ADMIN_WEBHOOK_SECRETS, personal: v.ZOOM_PERSONAL_WEBHOOK_SECRETS },
      baseUrl: v.ZOOM_BASE_URL ?? null,
      requiredPermissions: v.ZOOM_REQUIRED_PERMISSIONS ?? null,
      wishedPermissions: v.ZOOM_WISHED_PERMISSIONS ?? null,
      share: v.ZOOM_RATE_SHARE,
    },
    publicUrl: v.STEWARD_PUBLIC_URL.replace(/\/+$/, ''),
    http: { host: v.STEWARD_HOST, port: v.STEWARD_PORT },
    operating: { host: v.STEWARD_METRICS_HOST, port: v.STEWARD_METRICS_PORT ?? null },
    watchdogMs: v.STEWARD_WATCHDOG_MS,
    claimSecret: v.STEWARD_CLAIM_SECRET === undefined ? null : new Secret(v.STEWARD_CLAIM_SECRET),
    meetingQuotas: { perKey: v.STEWARD_MEETINGS_PER_KEY, perOrganization: v.STEWARD_MEETINGS_PER_ORGANIZATION },
    locationAdapter: v.STEWARD_LOCATIONS,
    guardShare: v.STEWARD_GUARD_SHARE,
    journalFile: v.STEWARD_JOURNAL_FILE ?? null,
    logLevel: v.STEWARD_LOG_LEVEL,
  };
  return deepFreeze(config);
}

const retentionVariables = variables.pick({
  STEWARD_KEEP_RUNS_DAYS: true,
  STEWARD_KEEP_EVENTS_DAYS: true,
  STEWARD_KEEP_AUDIT_DAYS: true,
});

/**
 * For how many days `prune` keeps what is over; needs no other variable.
 * @throws StewardError `config_invalid`
 */
export function parseRetention(env: (name: string) => string | undefined): {
  readonly runsDays: number;
  readonly eventsDays: number;
  readonly auditDays: number;
} {
  const names = Object.keys(retentionVariables.shape);
  const result = retentionVariables.safeParse(Object.fromEntries(names.map((name) => [name, env(name)])));
  if (!result.success)
    throw new StewardError(
      'config_invalid',
      result.error.issues.map((issue) => `${String(issue.path[0])}: ${issue.message}`).join('; '),
    );
  const { STEWARD_KEEP_RUNS_DAYS, STEWARD_KEEP_EVENTS_DAYS, STEWARD_KEEP_AUDIT_DAYS } = result.data;
  return {
    runsDays: STEWARD_KEEP_RUNS_DAYS,
    eventsDays: STEWARD_KEEP_EVENTS_DAYS,
    auditDays: STEWARD_KEEP_AUDIT_DAYS,
  };
}

/**
 * The key ring and the admin app's client id, for commands about keys; needs no other variable.
 * @throws StewardError `config_invalid`
 */
export function parseKeyRing(
  env: (name: string) => string | undefined,
): Config['keys'] & { readonly clientId: string } {
  const names = ['STEWARD_KEYS', 'STEWARD_KEYS_FILE', 'STEWARD_ACTIVE_KEY', 'ZOOM_ADMIN_CLIENT_ID'];
  const problems: string[] = [];
  const given = withKeyFile(Object.fromEntries(names.map((name) => [name, env(name)])), problems);
  const result = variables
    .pick({ STEWARD_KEYS: true, STEWARD_ACTIVE_KEY: true, ZOOM_ADMIN_CLIENT_ID: true })
    .safeParse(given);
  if (!result.success || problems.length > 0)
    throw new StewardError(
      'config_invalid',
      [...problems, ...(result.error?.issues ?? []).map((issue) => `${String(issue.path[0])}: ${issue.message}`)].join(
        '; ',
      ),
    );
  const { STEWARD_KEYS: ring, STEWARD_ACTIVE_KEY: activeId, ZOOM_ADMIN_CLIENT_ID: clientId } = result.data;
  return { ring, activeId: activeId ?? (ring[0]?.id as string), clientId };
}

/**
 * The configuration of this process: its environment, with `overrides` before it (what `dev` and `demo`
 * embed instead of what is not configured). The only place that reads the environment.
 */
export function loadConfig(overrides: Environment = {}): Config {
  return parseConfig({ ...process.env, ...overrides });
}

/** A variable of the environment before there is a configuration, e.g. to decide what must be embedded. */
export function environmentVariable(name: string): string | undefined {
  return process.env[name] === '' ? undefined : process.env[name];
}
