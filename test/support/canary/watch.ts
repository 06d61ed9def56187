import { findSecrets } from './encodings.ts';

/** A secret where none belongs. */
export type Leak = { readonly sink: Sink; readonly encoding: string; readonly before: string };

/** Where secrets would end up if one got out. */
export type Sink =
  | 'log'
  | 'stdout'
  | 'stderr'
  | 'http body'
  | 'http header'
  | 'postgres statement'
  | 'postgres row'
  | 'redis command'
  | 'redis value';

/**
 * Where a secret is handed to whoever is to have it: where, and what stands before it there. Everything else is a leak.
 */
const handedOver: readonly { readonly sinks: readonly Sink[]; readonly before: RegExp; readonly why: string }[] = [
  { sinks: ['http body', 'stdout'], before: /\/connect\/$/, why: 'a connect link, for whoever asked for it' },
  { sinks: ['stdout'], before: /\bzsk_$/, why: 'a service key, shown once to whoever made it' },
  {
    sinks: ['http body'],
    before: /^POST \/v1\/\S+\/personal-consents\n.*\/personal\/$/s,
    why: 'the page of a personal consent, for the member who asked for it',
  },
  {
    sinks: ['http body'],
    before: /^POST \/v1\/meeting-credentials\n.*"accessToken":"[\w.-]*$/s,
    why: 'a raw token, for a key that may have one',
  },
  { sinks: ['http header'], before: /^set-cookie: [A-Za-z_-]+=$/, why: 'the cookie of the browser itself' },
  { sinks: ['http header'], before: /^location: \S+\/oauth\/authorize\?\S*\bstate=$/, why: 'the state of an attempt' },
  { sinks: ['stderr'], before: /\/oauth\/authorize\?\S*\bstate=$/, why: 'where zoom-probe sends its operator' },
  { sinks: ['stderr'], before: /ZOOM_ADMIN_CLIENT_SECRETS=$/, why: 'how to configure a worker for the simulator' },
];

const most = 50;
const leaks: Leak[] = [];
let tell: (leak: Leak) => void = (leak) => {
  if (leaks.length < most) leaks.push(leak);
};

/** Looks for secrets in what goes to a sink, and notes those that are not handed over there on purpose. */
export function watch(sink: Sink, content: string | Uint8Array): void {
  for (const found of findSecrets(content)) {
    const meant = handedOver.some(({ sinks, before }) => sinks.includes(sink) && before.test(found.before));
    if (!meant) tell({ sink, ...found });
  }
}

/** What was noted since the last time. */
export const takeLeaks = (): Leak[] => leaks.splice(0);

/** Leaks of this process are told elsewhere from now on, at once: it may be killed. */
export function tellLeaks(to: (leak: Leak) => void): void {
  tell = to;
}
