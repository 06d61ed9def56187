import { randomBytes } from 'node:crypto';
import { type Config, type Environment, parseConfig } from '../../src/config.ts';
import { secretMark } from '../../src/simulator/secret-mark.ts';

/** Everything a configuration needs, for a simulator that a test may or may not start. */
function testEnvironment(url: string, over: Environment = {}): Environment {
  return {
    STEWARD_MODE: 'simulator',
    DATABASE_URL: url,
    ZOOM_BASE_URL: 'http://127.0.0.1:9',
    STEWARD_KEYS: `k1:${randomBytes(32).toString('base64')}`,
    ZOOM_ADMIN_CLIENT_ID: 'admin_client',
    ZOOM_ADMIN_CLIENT_SECRETS: `one-${secretMark},two-${secretMark}`,
    ZOOM_PERSONAL_CLIENT_ID: 'personal_client',
    ZOOM_PERSONAL_CLIENT_SECRETS: `personal-${secretMark}`,
    STEWARD_PUBLIC_URL: 'http://127.0.0.1:4000',
    STEWARD_LOG_LEVEL: 'silent',
    STEWARD_OUTBOX_POLL_MS: '100',
    STEWARD_SHUTDOWN_MS: '8000',
    ...over,
  };
}

export const testConfig = (url: string, over: Environment = {}): Config => parseConfig(testEnvironment(url, over));
