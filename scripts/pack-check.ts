/**
 * Packs both packages and uses them as a stranger would: installed from the registry into empty projects of both kinds,
 * demo, imports, types, size. The tests do the same without the registry, in seconds.
 *   npm run pack:check               about two minutes
 *   npm run pack:check -- --keep     leaves the projects where they are and says where
 * Exit 0: all held; where no registry answered, what was not checked is named. 1: something did not hold; under
 * CI=true also when no registry answered. 2: unknown flag.
 */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { checkClient, checkTypes, checkWithoutScripts, checkWorker } from './pack/installs.ts';
import { pack } from './pack/pack.ts';
import { askRegistry, withRegistry } from './pack/registry.ts';

const clientLimitBytes = 3_000_000;
const compilers = ['7.0.2', '5.9.3'];
const ci = process.env['CI'] === 'true';
const say = (line: string): void => void process.stdout.write(`${line}\n`);

async function checkAll(into: string): Promise<string[]> {
  const [worker, client] = await Promise.all([pack('.', into), pack('packages/client', into)]);
  say(`packed   ${worker.name} ${worker.version}: ${worker.files.length} files, ${worker.unpackedBytes} bytes`);
  say(`packed   ${client.name} ${client.version}: ${client.files.length} files, ${client.unpackedBytes} bytes`);
  const notChecked: string[] = [];
  const step = async (name: string, work: () => Promise<string>): Promise<void> => {
    const began = performance.now();
    let detail = '';
    const outcome = await withRegistry(async () => {
      askRegistry(into);
      detail = await work();
    }, ci);
    const seconds = ((performance.now() - began) / 1000).toFixed(0);
    if (outcome === 'not checked') notChecked.push(name);
    say(outcome === 'done' ? `ok       ${name}: ${detail} (${seconds} s)` : `NOT DONE ${name}: no registry answered`);
  };
  await step('client', async () => {
    const bytes = await checkClient(client, into);
    if (bytes >= clientLimitBytes) throw new Error(`the client weighs ${bytes} bytes, expected under 3 MB`);
    return `imported and required on Node 20, ${bytes} bytes installed`;
  });
  await step('worker', async () => {
    await checkWorker(worker, into);
    return 'npx zoom-steward demo and the imports, as ESM and CommonJS project';
  });
  await step('install scripts off', async () => {
    await checkWithoutScripts(worker, into);
    return 'the demo names the command that mends it';
  });
  await step('types', async () => {
    await checkTypes([worker, client], into, compilers);
    return `nodenext and bundler, TypeScript ${compilers.join(' and ')}`;
  });
  return notChecked;
}

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { keep: { type: 'boolean', default: false } } });
  const into = mkdtempSync(join(tmpdir(), 'steward-pack-'));
  // Under root the embedded Postgres runs as another user, who must get through.
  chmodSync(into, 0o711);
  try {
    const notChecked = await checkAll(into);
    if (notChecked.length > 0)
      process.stderr.write(
        `pack:check: NOT CHECKED, because no registry answered: ${notChecked.join(', ')}. Run it again with one.\n`,
      );
    return 0;
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
    process.stderr.write(`pack:check: ${String(error)}\n${stdout}${stderr}\n`);
    return 1;
  } finally {
    if (values.keep) say(`left in  ${into}`);
    else rmSync(into, { recursive: true, force: true });
  }
}

process.exitCode = await main().catch((error: unknown) => {
  process.stderr.write(`pack:check: ${String(error)}\n`);
  return 2;
});
