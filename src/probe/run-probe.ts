import { experiments, notByCalls, type Probe, type Seen, works } from './experiments.ts';
import type { ProbeGrant, ZoomSession } from './zoom-session.ts';

export type ProbeReport = {
  readonly at: string;
  /** host of the API that was asked */
  readonly api: string;
  readonly experiments: readonly {
    readonly name: string;
    readonly did: string;
    readonly evidence: string;
  }[];
  /** toggle → reading that is true of this Zoom; null: tried, and it could not be told */
  readonly readings: Readonly<Record<string, string | null>>;
  /** toggle → why nothing is known of it */
  readonly notTried: Readonly<Record<string, string>>;
};

export type ProbeOrder = {
  readonly zoom: ZoomSession;
  readonly grant: ProbeGrant;
  readonly api: string;
  /** names of dangerous experiments that were asked for */
  readonly also: readonly string[];
  /** told before each experiment */
  tell(line: string): void;
  readonly signal: AbortSignal;
};

/** Does the experiments, one after the other, and says before each what it does. */
export async function runProbe(order: ProbeOrder): Promise<ProbeReport> {
  const probe: Probe = { zoom: order.zoom, grant: order.grant };
  const done: { name: string; did: string; evidence: string }[] = [];
  const notTried: Record<string, string> = { ...notByCalls };
  const readings: Record<string, string | null> = {};
  let gone = false;
  for (const { name, toggles, does, danger, run } of experiments) {
    const skip = order.signal.aborted
      ? 'stopped before'
      : gone
        ? 'the grant was gone by then; needs a run of its own'
        : danger !== undefined && !order.also.includes(name)
          ? `${danger}: only with --also ${name}`
          : null;
    if (skip !== null) {
      for (const toggle of toggles) notTried[toggle] = skip;
      continue;
    }
    order.tell(`${name}: ${does}${danger === undefined ? '' : ` (${danger})`}`);
    const seen: Seen = await run(probe);
    for (const toggle of toggles) readings[toggle] = seen.readings[toggle] ?? null;
    done.push({ name, did: does, evidence: seen.evidence });
    gone ||= danger !== undefined && !(await works(probe, probe.grant));
  }
  return { at: new Date().toISOString(), api: order.api, experiments: done, readings, notTried };
}

/** The report for people. */
export function reportAsMarkdown({ at, api, experiments: done, readings, notTried }: ProbeReport): string {
  const rows = Object.entries(readings).map(
    ([toggle, reading]) => `| \`${toggle}\` | ${reading ?? 'could not be told'} |`,
  );
  return `# Readings of ${api}, ${at}

What each toggle means: docs/zoom-simulator.md.

| toggle | true here |
| --- | --- |
${rows.join('\n')}

| experiment | did | saw |
| --- | --- | --- |
${done.map(({ name, did, evidence }) => `| ${name} | ${did} | ${evidence} |`).join('\n')}

| not known | what it takes |
| --- | --- |
${Object.entries(notTried)
  .map(([toggle, why]) => `| \`${toggle}\` | ${why} |`)
  .join('\n')}
`;
}
