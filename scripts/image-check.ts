/**
 * Executes the Dockerfile without Docker, and plays docker-compose.yml with what came out: every line in a tree of the
 * Debian release that FROM names, then Postgres, Valkey, migrate, server and worker in a network of their own, read-only
 * and as the image's user, asked by the compose file's health checks. The tests check what needs no root.
 *   npm run image:check                     six minutes, then one; needs root, debootstrap, unshare, ip and Debian's packages
 *   npm run image:check -- --work FOLDER    keeps the base trees there for the next time
 * Exit 0: all held. 1: something did not. 2: unknown flag. 3: cannot run here, and says what is missing.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { nodeTree, releaseOf, servicesTree } from './image/base-tree.ts';
import { parseDockerfile, parseDockerignore } from './image/dockerfile.ts';
import { playCompose } from './image/live.ts';
import { buildStage, type Image } from './image/tree.ts';

const repository = resolve(import.meta.dirname, '..');
const say = (line: string): void => void process.stdout.write(`${line}\n`);

function missing(): string[] {
  const tools = ['debootstrap', 'unshare', 'chroot', 'setpriv', 'mount', 'ip'];
  const absent = tools.filter((tool) => spawnSync('sh', ['-c', `command -v ${tool}`]).status !== 0);
  return [...(process.getuid?.() === 0 ? [] : ['root']), ...absent];
}

/** The build's context: what .dockerignore lets in, and nothing else. */
function makeContext(into: string): string {
  for (const path of parseDockerignore(readFileSync(join(repository, '.dockerignore'), 'utf8'))) {
    mkdirSync(dirname(join(into, path)), { recursive: true });
    cpSync(join(repository, path), join(into, path), { recursive: true });
  }
  return into;
}

function build(work: string, temporary: string): Image {
  const stages = parseDockerfile(readFileSync(join(repository, 'Dockerfile'), 'utf8'));
  const context = makeContext(join(temporary, 'context'));
  const roots = new Map<string, string>();
  let image: Image | undefined;
  for (const [index, stage] of stages.entries()) {
    say(`FROM ${stage.from}${stage.name ? ` AS ${stage.name}` : ''}`);
    const root = join(temporary, `stage-${index}`);
    image = buildStage(stage, {
      base: nodeTree(releaseOf(stage.from), work),
      root,
      context,
      roots,
      say: (line) => say(`  ${line}`),
    });
    if (stage.name !== null) roots.set(stage.name, root);
  }
  if (!image) throw new Error('the Dockerfile has no stage');
  const kilobytes = execFileSync('du', ['-sk', join(image.root, image.workdir)], { encoding: 'utf8' }).split('\t')[0];
  say(`built    ${image.workdir} weighs ${Math.round(Number(kilobytes) / 1024)} MB`);
  return image;
}

/** Plays the compose file in a network namespace, where its fixed ports are free and nothing else answers. */
function playApart(image: Image, services: string, temporary: string): number {
  const file = join(temporary, 'image.json');
  writeFileSync(file, JSON.stringify({ image, services }));
  const script = 'ip link set lo up && exec "$@"';
  const words = [process.execPath, import.meta.filename, '--play', file];
  const { status } = spawnSync('unshare', ['--net', 'sh', '-c', script, 'sh', ...words], { stdio: 'inherit' });
  return status ?? 1;
}

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { work: { type: 'string' }, play: { type: 'string' } } });
  if (values.play !== undefined) {
    const { image, services } = JSON.parse(readFileSync(values.play, 'utf8')) as { image: Image; services: string };
    await playCompose(image, services, say);
    return 0;
  }
  const absent = missing();
  if (absent.length > 0) {
    process.stderr.write(
      `image:check: NOTHING WAS CHECKED: expected root and Debian's tools, missing: ${absent.join(', ')}.\n`,
    );
    return 3;
  }
  const temporary = mkdtempSync(join(tmpdir(), 'steward-image-'));
  chmodSync(temporary, 0o711);
  try {
    const work = resolve(values.work ?? join(temporary, 'base'));
    mkdirSync(work, { recursive: true });
    const image = build(work, temporary);
    const release = releaseOf(parseDockerfile(readFileSync(join(repository, 'Dockerfile'), 'utf8'))[0]?.from ?? '');
    return playApart(image, servicesTree(release, work), temporary);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

process.exitCode = await main().catch((error: unknown) => {
  process.stderr.write(`image:check: ${error instanceof Error ? error.message : String(error)}\n`);
  return (error as { code?: string } | undefined)?.code?.startsWith('ERR_PARSE_ARGS') ? 2 : 1;
});
