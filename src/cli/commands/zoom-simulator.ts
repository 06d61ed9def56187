import { Option } from 'commander';
import { StewardError } from '../../errors.ts';
import type { ToggleName, Toggles } from '../../simulator/toggles.ts';
import { defineCommand } from '../define-command.ts';
import { exitCodes } from '../exit-codes.ts';
import { waitForStop } from '../wait-for-stop.ts';
import { wholeNumber } from '../whole-number.ts';

type Options = {
  readonly port?: number;
  readonly controlPort?: number;
  readonly host: string;
  readonly profile: 'kind' | 'cruel';
  readonly seed?: string;
  readonly toggle: readonly string[];
};

const port = wholeNumber(0, 65_535);

function togglesOf(list: readonly string[]): Partial<Record<ToggleName, string>> {
  const pairs = list.map((text) => {
    const [name, reading, ...more] = text.split('=');
    if (!name || !reading || more.length > 0)
      throw new StewardError(
        'usage',
        `Expected --toggle name=reading, got "${text}"; docs/zoom-simulator.md lists them.`,
      );
    return [name, reading] as const;
  });
  return Object.fromEntries(pairs);
}

/** A toggle or reading that does not exist is wrong usage, with the sentence that names those that do. */
function assertKnown(apply: () => Toggles): void {
  try {
    apply();
  } catch (error) {
    throw new StewardError('usage', `${(error as Error).message}; docs/zoom-simulator.md lists them.`, {
      cause: error,
    });
  }
}

/** `zoom-simulator` */
export const zoomSimulator = defineCommand<Options>({
  name: 'zoom-simulator',
  summary: 'a Zoom that runs on this machine, to develop and test against',
  details: `Plays Zoom: authorize page, tokens, users, permissions, meetings, revoke. Another port controls it. Everything is
forgotten when it stops; then its ledger of every call is judged. See docs/zoom-simulator.md.`,
  examples: [
    'zoom-simulator',
    'zoom-simulator --port 4010 --control-port 4011 --profile kind',
    'zoom-simulator --toggle revoke_reach=account --json',
  ],
  options: [
    new Option('--port <port>', 'of the simulated Zoom (default: any free one)').argParser(port),
    new Option('--control-port <port>', 'of the control (default: any free one)').argParser(port),
    new Option('--host <address>', 'where both listen').default('127.0.0.1'),
    new Option('--profile <name>', 'how it behaves where Zoom is not known to')
      .choices(['kind', 'cruel'])
      .default('cruel'),
    new Option('--seed <text>', 'equal seeds make equal tokens and ids'),
    new Option('--toggle <name=reading>', 'one behaviour otherwise than the profile has it; repeatable')
      .default([])
      .argParser((text: string, before: readonly string[]) => [...before, text]),
  ],
  exits: [
    '0  stopped, and every call was as Zoom wants it',
    '1  did not start, or calls were wrong (listed)',
    '2  usage',
  ],
  async action({ io, print, options: { port: zoomPort, controlPort, host, profile, seed, toggle } }) {
    const { startSimulator } = await import('../../simulator/start-simulator.ts');
    const { profile: readingsOf, withToggles } = await import('../../simulator/toggles.ts');
    const { defaultWorld } = await import('../../simulator/world.ts');
    const toggles = togglesOf(toggle);
    assertKnown(() => withToggles(readingsOf(profile), toggles));
    const simulator = await startSimulator({
      host,
      profile,
      toggles,
      ...(zoomPort === undefined ? {} : { port: zoomPort }),
      ...(controlPort === undefined ? {} : { controlPort }),
      ...(seed === undefined ? {} : { seed }),
    });
    try {
      print.item(
        { url: simulator.url, controlUrl: simulator.controlUrl, ...simulator.endpoints },
        () => `Zoom ${simulator.url}, control ${simulator.controlUrl}`,
      );
      const [app, account] = [defaultWorld.apps?.[0], defaultWorld.accounts?.[0]];
      print.note(
        `For a worker or server: STEWARD_MODE=simulator ZOOM_BASE_URL=${simulator.url} ZOOM_ADMIN_CLIENT_ID=${app?.clientId} ZOOM_ADMIN_CLIENT_SECRETS=${app?.secrets[0]}`,
      );
      print.note(`To approve, sign in as ${account?.users?.map(({ email }) => email).join(' or ')}.`);
      await waitForStop(io.signal);
      const judgement = simulator.judge();
      print.item(judgement, () =>
        judgement.ok
          ? `${judgement.calls} calls, all as Zoom wants them.`
          : `${judgement.calls} calls, wrong:\n${judgement.findings.map(({ rule, calls, detail }) => `  ${rule}: ${detail} (calls ${calls.join(', ')})`).join('\n')}`,
      );
      return judgement.ok ? exitCodes.ok : exitCodes.error;
    } finally {
      await simulator.stop();
    }
  },
});
