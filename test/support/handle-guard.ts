import { afterAll } from 'vitest';

/** Resources that keep a process alive although its work is done; a timer that was unref-ed is not among them. */
const judged = [
  'TCPSocketWrap',
  'TCPServerWrap',
  'PipeWrap',
  'PipeServerWrap',
  'ProcessWrap',
  'Timeout',
  'FSEventWrap',
];

const open = (): Map<string, number> => {
  const counts = new Map<string, number>();
  for (const kind of process.getActiveResourcesInfo()) {
    if (judged.includes(kind)) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  return counts;
};

// Closing a socket takes turns of the event loop, and a wait of BullMQ that was given up ends after its 5 s;
// a leak stays however long one waits.
const patienceMs = 8_000;

const before = open();

// Registered first, so it runs last: after every hook of the file.
afterAll(async () => {
  const until = performance.now() + patienceMs;
  for (;;) {
    const leaks = [...open()].filter(([kind, count]) => count > (before.get(kind) ?? 0));
    if (leaks.length === 0) return;
    if (performance.now() > until) {
      const list = leaks.map(([kind, count]) => `${count - (before.get(kind) ?? 0)} ${kind}`).join(', ');
      throw new Error(
        `Expected the file to close what it opened, got left open: ${list}. Close pools, servers, child processes and intervals in afterAll.`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, 20).unref());
  }
});
