import { parse } from 'yaml';

/** What the checks read of a service. */
export type Service = {
  readonly image: string;
  readonly command?: readonly string[];
  readonly env_file?: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly read_only?: boolean;
  readonly stop_grace_period?: string;
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly healthcheck?: {
    readonly test: readonly [kind: 'CMD' | 'CMD-SHELL', ...words: string[]];
    readonly interval: string;
    readonly retries: number;
    readonly start_period?: string;
  };
};

export type ComposeFile = { readonly services: Readonly<Record<string, Service>> };

/** Replaces `${NAME}` and `${NAME:-default}` as compose does. */
function interpolate(text: string, variables: Readonly<Record<string, string>>): string {
  return text.replace(/\$\{([A-Z_]+)(?::-([^}]*))?\}/g, (_, name: string, otherwise = '') => {
    return variables[name] || otherwise;
  });
}

/** Reads a compose file, with anchors and merges resolved and variables replaced. */
export function parseCompose(text: string, variables: Readonly<Record<string, string>> = {}): ComposeFile {
  return parse(interpolate(text, variables), { merge: true }) as ComposeFile;
}

/** Variables of an env file, as compose reads it. */
function parseEnvFile(text: string): Record<string, string> {
  const pairs = text.split('\n').flatMap((line) => {
    const [, name, value] = /^([A-Z][A-Z0-9_]*)=(.*)$/.exec(line) ?? [];
    return name === undefined ? [] : [[name, value ?? ''] as const];
  });
  return Object.fromEntries(pairs);
}

/** `.env` as a person fills in `.env.example` who follows the head of docker-compose.yml. */
export function filledEnvFile(example: string): string {
  const filled: Readonly<Record<string, string>> = {
    ZOOM_ADMIN_CLIENT_ID: 'image_check_app',
    ZOOM_ADMIN_CLIENT_SECRETS: 'image-check-secret',
    STEWARD_KEYS: `k1:${Buffer.alloc(32, 7).toString('base64')}`,
    STEWARD_PUBLIC_URL: 'https://zoom.example.com',
  };
  return example.replace(/^([A-Z][A-Z0-9_]*)=.*$/gm, (line, name: string) =>
    name in filled ? `${name}=${filled[name]}` : line,
  );
}

/** What the process of a service finds in its environment. */
export function environmentOf(service: Service, envFile: string): Record<string, string> {
  const fromFile = service.env_file === undefined ? {} : parseEnvFile(envFile);
  return { ...fromFile, ...service.environment };
}

/** Milliseconds of a duration such as `10s` or `1m30s`. */
export function milliseconds(duration: string): number {
  const units: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1_000 };
  return [...duration.matchAll(/(\d+)([hms])/g)].reduce(
    (sum, [, count, unit]) => sum + Number(count) * (units[unit as string] as number),
    0,
  );
}
