import { configVariables, parseConfig } from '../../config.ts';
import { StewardError } from '../../errors.ts';
import type { CliIo } from '../cli-io.ts';
import { defineCommand } from '../define-command.ts';
import { exitCodes } from '../exit-codes.ts';
import { openQueue } from '../open-queue.ts';

type Parsed = { readonly config: ReturnType<typeof parseConfig> | null; readonly configProblems: readonly string[] };

function parse(io: CliIo): Parsed {
  try {
    const environment = Object.fromEntries(configVariables.map((name) => [name, io.env(name)]));
    return { config: parseConfig(environment), configProblems: [] };
  } catch (error) {
    if (!(error instanceof StewardError)) throw error;
    const [, ...problems] = error.message.split('\n').map((line) => line.trim());
    return { config: null, configProblems: problems };
  }
}

const words = { ok: 'ok', warn: 'WARN', fail: 'FAIL', skipped: '–' } as const;
const nameWidth = 16;

/** `doctor` */
export const doctor = defineCommand({
  name: 'doctor',
  summary: 'look at everything that can be wrong, each with its mend',
  details: `Looks at database, schema, rights, index, clocks, configuration, keys, client secrets, public URL, queue, workers,
outbox, runs, dead letters, switches and webhooks. Changes nothing, asks Zoom nothing. Run it where a worker runs, with
its environment.`,
  examples: ['doctor', 'doctor --json | jq \'.findings[] | select(.state != "ok")\''],
  exits: ['0  nothing failed; there may be warnings', '1  something failed', '2  usage'],
  async action({ io, print, open }) {
    const { examine } = await import('../../operating/doctor/examine.ts');
    const instance = await open();
    const parsed: Parsed = instance.kind === 'dev' ? { config: null, configProblems: [] } : parse(io);
    const findings = await examine({ db: instance.db, ...parsed, openQueue: () => openQueue(instance, io) });
    const failed = findings.filter(({ state }) => state === 'fail').length;
    const warned = findings.filter(({ state }) => state === 'warn').length;
    print.answer({ failed, warned, findings }, () =>
      [
        ...findings.flatMap(({ name, state, found, mend }) => [
          `${words[state].padEnd(5)}${name.padEnd(nameWidth)}${found}`,
          ...(mend === undefined || state === 'skipped' ? [] : [`${' '.repeat(5)}${' '.repeat(nameWidth)}→ ${mend}`]),
        ]),
        '',
        print.bold(failed + warned === 0 ? 'Nothing is wrong.' : `${failed} failed, ${warned} to look at.`),
      ].join('\n'),
    );
    return failed > 0 ? exitCodes.error : exitCodes.ok;
  },
});
