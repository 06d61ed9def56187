import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const sampleMs = 100;

export type BenchWorker = {
  readonly pid: number;
  /** largest resident set seen since the last call, in MB; sampled every 100 ms, this process alone */
  takePeakRssMb(): number | null;
  stop(): Promise<void>;
  /** SIGKILL, as a machine that goes away; resolves when the process is gone */
  kill(): Promise<void>;
};

/** What a worker process needs to know; Zoom is never asked in a benchmark. */
const workerEnvironment = (databaseUrl: string): Record<string, string> => ({
  DATABASE_URL: databaseUrl,
  STEWARD_MODE: 'simulator',
  ZOOM_BASE_URL: 'http://127.0.0.1:9',
  ZOOM_ADMIN_CLIENT_ID: 'bench',
  ZOOM_ADMIN_CLIENT_SECRETS: 'bench',
  STEWARD_KEYS: `bench:${randomBytes(32).toString('base64')}`,
  STEWARD_PUBLIC_URL: 'http://127.0.0.1:9',
  STEWARD_LOG_LEVEL: 'warn',
  // Due work would ask Zoom; the benchmarks measure what a change costs.
  STEWARD_TICK_MS: '600000',
});

function rssMb(pid: number): number | null {
  try {
    const kb = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return kb === undefined ? null : Number(kb) / 1024;
  } catch {
    return null;
  }
}

/** A real worker process, as `zoom-steward worker` starts it, on this database. */
export async function startBenchWorker(
  databaseUrl: string,
  environment: Record<string, string> = {},
): Promise<BenchWorker> {
  const child: ChildProcess = spawn(process.execPath, [join(import.meta.dirname, '../src/cli/main.ts'), 'worker'], {
    env: { ...process.env, ...workerEnvironment(databaseUrl), ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  const ready = new Promise<void>((resolve, reject) => {
    const hear = (chunk: Buffer): void => {
      said += chunk.toString();
      if (/ready/i.test(said)) resolve();
    };
    child.stdout?.on('data', hear);
    child.stderr?.on('data', hear);
    child.once('exit', (code) =>
      reject(new Error(`The worker ended with ${code} before it was ready: ${said.slice(-800)}`)),
    );
  });
  await ready;
  child.removeAllListeners('exit');
  const pid = child.pid as number;
  let peak = rssMb(pid);
  const timer = setInterval(() => {
    const now = rssMb(pid);
    if (now !== null) peak = Math.max(peak ?? 0, now);
  }, sampleMs);
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    clearInterval(timer);
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
  };
  return {
    pid,
    takePeakRssMb() {
      const seen = peak;
      peak = rssMb(pid);
      return seen === null ? null : Math.round(seen);
    },
    stop: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
  };
}
