import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Option } from 'commander';
import { calculatePKCECodeChallenge, generateRandomCodeVerifier, generateRandomState } from 'oauth4webapi';
import { StewardError } from '../../errors.ts';
import type { ProbeGrant, ZoomSession } from '../../probe/zoom-session.ts';
import { Secret } from '../../secret.ts';
import { simulatorEndpoints, zoomEndpoints } from '../../zoom/endpoints.ts';
import type { CliIo } from '../cli-io.ts';
import { type CommandContext, defineCommand } from '../define-command.ts';

type Options = { readonly out: string; readonly also: readonly string[]; readonly plan: boolean };

const dangerous = ['limits', 'reuse', 'revoke-by-refresh-token'];

/** A variable that must be there. @throws StewardError `usage` */
function needed(io: CliIo, name: string, what: string): string {
  const value = io.env(name);
  if (value === undefined || value === '')
    throw new StewardError('usage', `Expected ${what} in ${name}, got nothing; see zoom-steward zoom-probe --help.`);
  return value;
}

function endpointsOf(io: CliIo) {
  if (io.env('STEWARD_MODE') !== 'simulator') return zoomEndpoints;
  return simulatorEndpoints(needed(io, 'ZOOM_BASE_URL', 'the address of the simulator'));
}

/** A grant by consent: the operator's browser goes to Zoom, and its last address comes back by hand. */
async function askConsent({ print, io, mayAsk }: CommandContext<Options>, zoom: ZoomSession) {
  if (!mayAsk)
    throw new StewardError('usage', 'Expected a refresh token in ZOOM_PROBE_REFRESH_TOKEN, or a terminal to consent.');
  needed(io, 'ZOOM_PROBE_REDIRECT_URI', 'a redirect address of the app');
  const [state, verifier] = [generateRandomState(), generateRandomCodeVerifier()];
  print.note(
    `Open, as an admin of the account: ${zoom.authorizeUrl({ state, codeChallenge: await calculatePKCECodeChallenge(verifier) })}`,
  );
  const address = await io.ask('The address the browser came back to: ');
  const back = URL.canParse(address) ? new URL(address).searchParams : new URLSearchParams();
  const code = back.get('code');
  if (code === null || back.get('state') !== state)
    throw new StewardError('no_consent', 'Expected an address with a code and the state of this consent; start again.');
  return zoom.exchange(new Secret(code), new Secret(verifier));
}

async function obtainGrant(context: CommandContext<Options>, zoom: ZoomSession): Promise<ProbeGrant> {
  const { grantIn } = await import('../../probe/zoom-session.ts');
  const given = context.io.env('ZOOM_PROBE_REFRESH_TOKEN');
  const refresh = given ? new Secret(given) : undefined;
  const answer = refresh ? await zoom.refresh(refresh) : await askConsent(context, zoom);
  const grant = grantIn(answer, refresh && { access: refresh, refresh, said: answer });
  if (grant) return grant;
  throw new StewardError(
    'no_grant',
    `Expected tokens, got HTTP ${answer.status} ${String(answer.json['error'] ?? '')} ${String(answer.json['reason'] ?? '')}`.trim(),
  );
}

/** `zoom-probe` */
export const zoomProbe = defineCommand<Options>({
  name: 'zoom-probe',
  summary: 'find out by hand, at a real Zoom account, which readings of the simulator are true',
  details: `Asks Zoom what nobody could confirm, one experiment after the other, says before each what it does, and writes nothing
but a report: zoom-probe.json and zoom-probe.md, without tokens, ids or addresses. Never use the app that members depend on:
a second consent of the same person may end the first, and experiments rotate, and end, the grant. From the environment:
  ZOOM_PROBE_CLIENT_ID, ZOOM_PROBE_CLIENT_SECRET   an admin-managed app of its own
  ZOOM_PROBE_REFRESH_TOKEN                         used up by the first refresh; or, in a terminal, consent with
  ZOOM_PROBE_REDIRECT_URI                          one of that app's redirect addresses; nobody needs to listen there
Afterwards the grant's tokens are forgotten: the next run needs a new consent.`,
  examples: ['zoom-probe --plan', 'zoom-probe --out reports', 'zoom-probe --also limits --also reuse'],
  options: [
    new Option('--out <folder>', 'where the report goes').default('.'),
    new Option('--also <experiment>', `${dangerous.join(', ')}: what ends the grant or uses up limits; repeatable`)
      .default([])
      .argParser((text: string, before: readonly string[]) => [...before, text]),
    new Option('--plan', 'only say what would be done').default(false),
  ],
  async action(context) {
    const { io, print, options } = context;
    const unknown = options.also.find((name) => !dangerous.includes(name));
    if (unknown !== undefined)
      throw new StewardError('usage', `Expected --also ${dangerous.join(', ')}, got "${unknown}".`);
    const { experiments } = await import('../../probe/experiments.ts');
    if (options.plan) {
      const planned = experiments.filter(({ name, danger }) => danger === undefined || options.also.includes(name));
      print.answer(
        planned.map(({ name, does, danger, toggles }) => ({ name, does, danger: danger ?? null, toggles })),
        () => planned.map(({ name, does }) => `${name}: ${does}`).join('\n'),
      );
      return;
    }
    const clientId = needed(io, 'ZOOM_PROBE_CLIENT_ID', 'the client id of an app of its own');
    if (clientId === io.env('ZOOM_ADMIN_CLIENT_ID'))
      throw new StewardError('usage', 'Expected another app in ZOOM_PROBE_CLIENT_ID than ZOOM_ADMIN_CLIENT_ID.');
    const { createZoomSession } = await import('../../probe/zoom-session.ts');
    const { reportAsMarkdown, runProbe } = await import('../../probe/run-probe.ts');
    const endpoints = endpointsOf(io);
    const zoom = createZoomSession({
      endpoints,
      client: {
        clientId,
        secret: new Secret(needed(io, 'ZOOM_PROBE_CLIENT_SECRET', 'its secret')),
        redirectUri: io.env('ZOOM_PROBE_REDIRECT_URI') ?? '',
      },
    });
    const grant = await obtainGrant(context, zoom);
    const report = await runProbe({
      zoom,
      grant,
      api: endpoints.apiBase,
      also: options.also,
      tell: (line) => print.note(line),
      signal: io.signal,
    });
    const markdown = reportAsMarkdown(report);
    const files = [join(options.out, 'zoom-probe.json'), join(options.out, 'zoom-probe.md')] as const;
    await writeFile(files[0], `${JSON.stringify(report, null, 2)}\n`);
    await writeFile(files[1], markdown);
    print.answer(report, () => markdown);
    print.note(
      `Written: ${files.join(', ')}. The grant's tokens are forgotten; take the app off the account if it was only for this.`,
    );
  },
});
