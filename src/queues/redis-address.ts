import type { RedisOptions } from 'ioredis';
import type { Secret } from '../secret.ts';

export type RedisNode = { readonly host: string; readonly port: number };

/** Where Redis is: one server, or the nodes of a cluster by which the others are found. */
export type RedisAddress = {
  readonly nodes: readonly [RedisNode, ...RedisNode[]];
  /** several nodes were named, so it is a cluster */
  readonly cluster: boolean;
  /** user, password, TLS and database; those of the first node count for all */
  readonly options: Pick<RedisOptions, 'username' | 'password' | 'tls' | 'db' | 'keepAlive'>;
};

const defaultPort = 6379;
const keepAliveMs = 10_000;

const nodeOf = ({ hostname, port }: URL): RedisNode => ({
  host: hostname.replace(/^\[|\]$/g, ''),
  port: Number(port || defaultPort),
});

/** Reads REDIS_URL: one URL, or the URLs of several nodes of one cluster, separated by commas. */
export function redisAddress(redisUrl: Secret): RedisAddress {
  const urls = redisUrl
    .reveal()
    .split(',')
    .map((text) => new URL(text.trim()));
  const [first, ...others] = urls as [URL, ...URL[]];
  const db = Number(first.pathname.slice(1) || '0');
  return {
    nodes: [nodeOf(first), ...others.map(nodeOf)],
    cluster: others.length > 0,
    options: {
      ...(first.username === '' ? {} : { username: decodeURIComponent(first.username) }),
      ...(first.password === '' ? {} : { password: decodeURIComponent(first.password) }),
      ...(db === 0 ? {} : { db }),
      ...(first.protocol === 'rediss:' ? { tls: {} } : {}),
      keepAlive: keepAliveMs,
    },
  };
}
