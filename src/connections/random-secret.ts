import { createHash, randomBytes } from 'node:crypto';
import { Secret } from '../secret.ts';

const secretBytes = 32;

/** 256 random bits, base64url: for links and browser cookies. */
export function createRandomSecret(): Secret {
  return new Secret(randomBytes(secretBytes).toString('base64url'));
}

/** SHA-256 of a secret: all that is stored of it, and what it is looked up by. */
export function hashSecret(secret: Secret): Buffer {
  return createHash('sha256').update(secret.reveal(), 'utf8').digest();
}
