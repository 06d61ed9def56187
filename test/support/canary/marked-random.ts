import crypto from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';
import { markBytes } from './encodings.ts';

/** Shorter ones are ids, nonces and initialization vectors. */
const secretBytes = 32;

/**
 * From now on random bytes as long as a secret begin with the mark: states, verifiers, links, cookies, service keys and
 * keys of the vault, whoever makes them. What is left is random.
 */
export function markRandomSecrets(): void {
  const { randomBytes } = crypto;
  const marked = (bytes: Buffer): Buffer => {
    if (bytes.length >= secretBytes) markBytes.copy(bytes);
    return bytes;
  };
  type Callback = (error: Error | null, bytes: Buffer) => void;
  crypto.randomBytes = ((size: number, callback?: Callback) =>
    callback === undefined
      ? marked(randomBytes(size))
      : randomBytes(size, (error, bytes) => callback(error, error ? bytes : marked(bytes)))) as typeof randomBytes;
  const { getRandomValues } = crypto.webcrypto;
  Object.defineProperty(globalThis.crypto, 'getRandomValues', {
    configurable: true,
    value<T extends ArrayBufferView>(array: T): T {
      getRandomValues.call(globalThis.crypto, array as never);
      marked(Buffer.from(array.buffer, array.byteOffset, array.byteLength));
      return array;
    },
  });
  syncBuiltinESMExports();
}
