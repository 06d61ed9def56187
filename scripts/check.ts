/**
 * Everything that must hold before a commit, one stage after the other.
 *   npm run check                         all stages
 *   npm run check -- --only lint,types    these stages
 *   npm run check -- --except tests       all but these
 * Exit 0: all green. 1: a stage failed; the others still ran. 2: unknown flag or stage.
 */
import { spawnSync } from 'node:child_process';
import { performance } from 'node:perf_hooks';
import { parseArgs } from 'node:util';

type Stage = { readonly name: string; readonly command: readonly string[]; readonly mend: string };

const stages: readonly Stage[] = [
  { name: 'format', command: ['biome', 'format', '.'], mend: 'npm run format' },
  { name: 'lint', command: ['biome', 'check', '--formatter-enabled=false', '.'], mend: 'npx biome check --write .' },
  { name: 'types', command: ['tsc', '--noEmit'], mend: 'mend the types named above' },
  {
    name: 'layers',
    command: ['node', 'scripts/check-layers.ts'],
    mend: 'docs/architecture.md says who may import whom',
  },
  { name: 'dead-code', command: ['knip'], mend: 'delete what nothing uses' },
  { name: 'db-types', command: ['node', 'scripts/generate-db-types.ts', '--check'], mend: 'npm run types:db' },
  { name: 'tests', command: ['vitest', 'run'], mend: 'npx vitest run FILE shows one file' },
];

const names = stages.map((stage) => stage.name);

function wanted(): readonly Stage[] {
  const { values } = parseArgs({
    options: { only: { type: 'string', multiple: true }, except: { type: 'string', multiple: true } },
  });
  const split = (list: string[] | undefined): string[] => (list ?? []).flatMap((part) => part.split(','));
  const [only, except] = [split(values.only), split(values.except)];
  const unknown = [...only, ...except].find((name) => !names.includes(name));
  if (unknown !== undefined) throw new Error(`expected a stage (${names.join(', ')}), got ${unknown}`);
  return stages.filter(({ name }) => (only.length === 0 || only.includes(name)) && !except.includes(name));
}

function run({ name, command, mend }: Stage): { ok: boolean; line: string } {
  process.stdout.write(`\n── ${name}: ${command.join(' ')}\n`);
  const began = performance.now();
  const [program = '', ...args] = command;
  const { status, error } = spawnSync(program, args, { stdio: 'inherit' });
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  const ok = status === 0;
  const why = error ? `${program} did not start: ${error.message}; run it through npm run check` : `to mend: ${mend}`;
  return { ok, line: `${ok ? 'ok  ' : 'FAIL'} ${name.padEnd(10)}${seconds.padStart(6)} s${ok ? '' : `  ${why}`}` };
}

try {
  const results = wanted().map(run);
  process.stdout.write(`\n${results.map(({ line }) => line).join('\n')}\n`);
  process.exitCode = results.every(({ ok }) => ok) ? 0 : 1;
} catch (error) {
  process.stderr.write(`check: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 2;
}
