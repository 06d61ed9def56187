import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { CrashPoint } from '../../src/grants/crash-points.ts';
import { testKey } from './setting.ts';
import { simulatedClient } from './simulated-zoom.ts';

/** What a refresher process is to do. */
export type RefresherOrder = {
  readonly databaseUrl: string;
  readonly zoomUrl: string;
  readonly grantId: string;
  readonly work: 'token' | 'retire';
  /** how many ask at once */
  readonly callers: number;
  /** where it kills itself, as SIGKILL does: without a last word */
  readonly dieAt: CrashPoint | null;
  readonly key: { readonly id: string; readonly text: string };
  readonly client: {
    readonly kind: 'admin';
    readonly clientId: string;
    readonly secrets: readonly string[];
    readonly redirectUri: string;
  };
};

export type RefresherWord =
  | { readonly kind: 'ready' }
  | { readonly kind: 'asking' }
  | { readonly kind: 'done'; readonly answers: readonly string[] };

export type Refresher = {
  /** The word to begin. Resolves when its calls are made. */
  begin(): Promise<void>;
  /** What each caller got: `token:` and a hash, or the kind of refusal. */
  readonly answers: Promise<readonly string[]>;
  /** Resolves with the signal that ended it, null if it ended by itself. */
  readonly ended: Promise<NodeJS.Signals | null>;
  kill(): void;
};

/** Starts a process that shares nothing with this one but the database and Zoom; ready when this resolves. */
export async function startRefresher(
  order: Pick<RefresherOrder, 'databaseUrl' | 'zoomUrl' | 'grantId'> & Partial<RefresherOrder>,
): Promise<Refresher> {
  const child: ChildProcess = fork(fileURLToPath(new URL('refresher.ts', import.meta.url)), { execArgv: [] });
  const ended = once(child, 'exit').then(([, signal]) => signal as NodeJS.Signals | null);
  const heard = new Map<RefresherWord['kind'], PromiseWithResolvers<RefresherWord>>(
    (['ready', 'asking', 'done'] as const).map((kind) => [kind, Promise.withResolvers<RefresherWord>()]),
  );
  child.on('message', (word: RefresherWord) => heard.get(word.kind)?.resolve(word));
  const hear = async <Kind extends RefresherWord['kind']>(kind: Kind) => {
    const word = await Promise.race([heard.get(kind)?.promise, ended.then((signal) => `ended by ${signal}`)]);
    if (typeof word === 'string') throw new Error(`Expected the refresher to be ${kind}, but it ${word}`);
    return word as Extract<RefresherWord, { kind: Kind }>;
  };
  const { secrets, ...client } = simulatedClient;
  child.send({
    work: 'token',
    callers: 1,
    dieAt: null,
    key: { id: testKey.id, text: testKey.key.reveal() },
    client: { ...client, secrets: secrets.map((secret) => secret.reveal()) },
    ...order,
  });
  await hear('ready');
  const answers = hear('done').then((word) => word.answers);
  answers.catch(() => {});
  return {
    async begin() {
      child.send('begin');
      await hear('asking');
    },
    answers,
    ended,
    kill: () => void child.kill('SIGKILL'),
  };
}
