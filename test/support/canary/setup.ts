import { afterAll, vi } from 'vitest';
import { markRandomSecrets } from './marked-random.ts';
import { takeLeaks } from './watch.ts';
import { watchAnswers } from './watch-answers.ts';
import { takeLeaksOfChildren, watchChildren } from './watch-children.ts';
import { watchOutput } from './watch-output.ts';

// Every test is a canary run: secrets carry a mark, and a file in which one gets where none belongs fails.
vi.mock('../../../src/logger.ts', async (original) => {
  const real = await original<typeof import('../../../src/logger.ts')>();
  const { watchedLogger } = await import('./watch-log.ts');
  return { ...real, createLogger: watchedLogger(real.createLogger) };
});
markRandomSecrets();
watchOutput();
watchAnswers();
watchChildren();

// Registered early, so it runs late: after databases were looked through.
afterAll(() => {
  const leaks = [...takeLeaks(), ...takeLeaksOfChildren()];
  if (leaks.length === 0) return;
  const list = leaks
    .map(({ sink, encoding, before }) => `  ${sink}, ${encoding}, after: ${before.slice(-100)}`)
    .join('\n');
  throw new Error(`Expected no secret where none belongs, got ${leaks.length}:\n${list}`);
});
