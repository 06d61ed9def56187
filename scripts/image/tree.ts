import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { parseCopy, parseWords, type Stage } from './dockerfile.ts';

const run = (program: string, ...args: string[]): void => void execFileSync(program, args, { stdio: 'pipe' });

/** What a container of the built image starts with. */
export type Image = {
  readonly root: string;
  readonly workdir: string;
  readonly user: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly entrypoint: readonly string[];
};

/**
 * What the engine would lend a build: the host's resolver, and the certificates it trusts where it trusts others than
 * Debian. Taken back afterwards, so that the image holds none of it.
 */
function lendNetwork(root: string): { environment: Record<string, string>; takeBack: () => void } {
  const lent: string[] = [];
  const lend = (from: string, to: string): void => {
    copyFileSync(from, join(root, to));
    lent.push(join(root, to));
  };
  for (const file of ['/etc/resolv.conf', '/etc/hosts']) if (existsSync(file)) lend(file, file);
  const certificates = process.env['NODE_EXTRA_CA_CERTS'];
  if (certificates && existsSync(certificates)) lend(certificates, '/tmp/host-certificates.pem');
  const environment = certificates ? { NODE_EXTRA_CA_CERTS: '/tmp/host-certificates.pem' } : {};
  return { environment, takeBack: () => lent.forEach((file) => void rmSync(file, { force: true })) };
}

/** The fields of a user's line in the tree's own list of users. */
function findUser(root: string, name: string): string[] | undefined {
  const users = join(root, 'etc/passwd');
  const lines = existsSync(users) ? readFileSync(users, 'utf8').split('\n') : [];
  return lines.map((line) => line.split(':')).find(([known]) => known === name);
}

/** Runs a RUN line as the engine would: by /bin/sh in the tree, in the stage's directory and environment. */
function execute(command: string, image: Image, lent: Readonly<Record<string, string>>): void {
  const variables = { ...image.environment, ...lent, HOME: findUser(image.root, image.user)?.[5] ?? '/' };
  const words = Object.entries(variables).map(([name, value]) => `${name}=${value}`);
  // A mount namespace of its own: /proc goes with the command, also when it is killed.
  const script = `mount -t proc proc "$1/proc" && root=$1 user=$2 && shift 2 && exec chroot --userspec="$user" "$root" env -i "$@"`;
  const inside = ['/bin/sh', '-c', `cd ${image.workdir} && ${command}`];
  const args = ['--mount', 'sh', '-c', script, 'sh', image.root, image.user, ...words, ...inside];
  const { status, stdout, stderr } = spawnSync('unshare', args, { encoding: 'utf8', maxBuffer: 1 << 26 });
  if (status !== 0) throw new Error(`RUN ${command} ended with ${status}:\n${stdout}${stderr}`);
}

/** COPY: a folder's contents, or files; the target is made. */
function copy(sources: readonly string[], target: string, asked: string): void {
  const intoFolder = sources.length > 1 || asked.endsWith('/');
  for (const source of sources) {
    const folder = statSync(source).isDirectory();
    mkdirSync(folder || intoFolder ? target : dirname(target), { recursive: true });
    run('cp', '-a', folder ? `${source}/.` : source, target);
  }
}

/**
 * Executes one stage in a copy of the base tree; `context` is what .dockerignore let in, `roots` the trees of earlier
 * stages.
 */
export function buildStage(
  stage: Stage,
  given: {
    readonly base: string;
    readonly root: string;
    readonly context: string;
    readonly roots: ReadonlyMap<string, string>;
    readonly say: (line: string) => void;
  },
): Image {
  run('cp', '-a', given.base, given.root);
  const path = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
  let image: Image = { root: given.root, workdir: '/', user: 'root', environment: { PATH: path }, entrypoint: [] };
  const network = lendNetwork(given.root);
  try {
    for (const instruction of stage.instructions) {
      const { keyword, rest } = instruction;
      given.say(`${keyword} ${rest}`);
      if (keyword === 'WORKDIR') {
        image = { ...image, workdir: rest };
        mkdirSync(join(given.root, rest), { recursive: true });
      } else if (keyword === 'ENV') {
        const [name = '', value = ''] = rest.split('=', 2);
        image = { ...image, environment: { ...image.environment, [name]: value } };
      } else if (keyword === 'USER') {
        image = { ...image, user: knownUser(given.root, rest) };
      } else if (keyword === 'COPY') {
        const { from, sources, target } = parseCopy(instruction);
        const root = from === null ? given.context : given.roots.get(from);
        if (root === undefined) throw new Error(`Dockerfile:${instruction.line}: there is no stage ${from}`);
        copy(
          sources.map((source) => join(root, source)),
          join(given.root, resolve(image.workdir, target)),
          target,
        );
      } else if (keyword === 'RUN') {
        execute(rest, image, network.environment);
      } else if (keyword === 'ENTRYPOINT') {
        image = { ...image, entrypoint: parseWords(instruction) };
      }
    }
  } finally {
    network.takeBack();
  }
  return image;
}

function knownUser(root: string, name: string): string {
  if (!findUser(root, name)) throw new Error(`USER ${name}: no such user`);
  return name;
}
