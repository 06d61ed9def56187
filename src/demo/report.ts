import type { Writable } from 'node:stream';

export type StepResult = {
  readonly name: string;
  readonly ms: number;
  /** until the checks were through that were begun after it; scenes that follow do not wait for them */
  readonly checksMs?: number;
  readonly counts: Readonly<Record<string, number | string>>;
};
export type CheckResult = { readonly name: string; readonly ok: boolean; readonly detail: string };

export type Progress = {
  /** what is being done; rate and time left begin anew with each */
  readonly stage: string;
  readonly done: number;
  /** null: nobody has counted what there is to look at */
  readonly total: number | null;
  readonly waitingFor?: string;
};

const barWidth = 24;
const plainIntervalMs = 1000;

const seconds = (ms: number): string => (ms < 10_000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms / 1000)} s`);
const number = (value: number): string => value.toLocaleString('en-US');

export type Narrator = {
  /** headline of a step */
  step(title: string): void;
  /** one readable sentence about what happened */
  tell(sentence: string): void;
  /** live progress: done/total, rate, time left, and why it waits */
  progress(state: Progress): void;
  /** result of a check */
  check(result: CheckResult): void;
};

/** Tells the story on a stream: redrawn progress on a terminal, a line a second elsewhere. */
export function createNarrator(out: Writable & { isTTY?: boolean }, { color }: { color: boolean }): Narrator {
  const paint = (code: number, text: string): string => (color ? `\u001b[${code}m${text}\u001b[0m` : text);
  let steps = 0;
  let stage = '';
  let stageStarted = 0;
  let doneAtStart = 0;
  let lastPlain = 0;
  let drawn = false;
  const line = (text: string): void => {
    if (drawn) out.write('\r\u001b[2K');
    drawn = false;
    out.write(`${text}\n`);
  };
  return {
    step(title) {
      steps += 1;
      stage = '';
      line(`\n${paint(1, `${String(steps).padStart(2)}. ${title}`)}`);
    },
    tell: (sentence) => line(`    ${sentence}`),
    progress({ stage: now, done, total, waitingFor }) {
      if (now !== stage) {
        stage = now;
        stageStarted = performance.now();
        doneAtStart = done;
        lastPlain = 0;
      }
      const rate = (done - doneAtStart) / Math.max((performance.now() - stageStarted) / 1000, 0.001);
      const pace = rate > 0 ? `  ${number(Math.round(rate))}/s` : '';
      const left =
        rate > 0 && total !== null && done < total ? `, ${seconds(((total - done) / rate) * 1000)} left` : '';
      const why = waitingFor ? `, waits for ${waitingFor}` : '';
      const text = `${stage} ${total === null ? number(done) : `${number(done)}/${number(total)}`}${pace}${left}${why}`;
      if (out.isTTY) {
        const filled = !total ? barWidth : Math.round((done / total) * barWidth);
        out.write(`\r\u001b[2K    ${'█'.repeat(filled)}${'░'.repeat(barWidth - filled)} ${text}`);
        drawn = true;
      } else if (performance.now() - lastPlain > plainIntervalMs) {
        lastPlain = performance.now();
        line(`    ${text}`);
      }
    },
    check: ({ name, ok, detail }) =>
      line(`    ${ok ? paint(32, '✓') : paint(31, '✗')} ${name}${ok ? '' : `: ${detail}`}`),
  };
}
