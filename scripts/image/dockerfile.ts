/** One line of a Dockerfile, continuation lines joined. */
export type Instruction = { readonly keyword: string; readonly rest: string; readonly line: number };

/** What is between two FROM lines. */
export type Stage = { readonly from: string; readonly name: string | null; readonly instructions: Instruction[] };

const known = new Set(['FROM', 'WORKDIR', 'COPY', 'RUN', 'ENV', 'USER', 'EXPOSE', 'ENTRYPOINT', 'CMD']);

function instructionsOf(text: string): Instruction[] {
  const found: Instruction[] = [];
  let pending = '';
  let first = 0;
  for (const [index, raw] of text.split('\n').entries()) {
    if (/^\s*(#|$)/.test(raw)) continue;
    if (pending === '') first = index + 1;
    pending += raw.replace(/\\\s*$/, ' ');
    if (/\\\s*$/.test(raw)) continue;
    const [, keyword = '', rest = ''] = /^\s*([A-Za-z]+)\s+(.*?)\s*$/.exec(pending) ?? [];
    found.push({ keyword: keyword.toUpperCase(), rest, line: first });
    pending = '';
  }
  if (pending !== '') throw new Error(`Dockerfile:${first}: the last line is continued by nothing`);
  return found;
}

/** Stages of a Dockerfile. Refuses every instruction that the check would not execute. */
export function parseDockerfile(text: string): Stage[] {
  const stages: Stage[] = [];
  for (const instruction of instructionsOf(text)) {
    const { keyword, rest, line } = instruction;
    if (!known.has(keyword)) throw new Error(`Dockerfile:${line}: expected ${[...known].join(', ')}, got ${keyword}`);
    if (keyword === 'FROM') {
      const [from = '', , name = null] = rest.split(/\s+/);
      stages.push({ from, name, instructions: [] });
      continue;
    }
    const stage = stages.at(-1);
    if (!stage) throw new Error(`Dockerfile:${line}: expected FROM first, got ${keyword}`);
    stage.instructions.push(instruction);
  }
  return stages;
}

/** What a COPY takes and where it puts it. */
export type Copy = { readonly from: string | null; readonly sources: readonly string[]; readonly target: string };

export function parseCopy({ rest, line }: Instruction): Copy {
  const words = rest.split(/\s+/);
  const from = /^--from=(.+)$/.exec(words[0] ?? '')?.[1] ?? null;
  const paths = from === null ? words : words.slice(1);
  if (paths.length < 2 || paths.some((path) => /^--|^\[/.test(path)))
    throw new Error(`Dockerfile:${line}: expected COPY [--from=STAGE] SOURCE… TARGET, got ${rest}`);
  return { from, sources: paths.slice(0, -1), target: paths.at(-1) as string };
}

/** The words of ENTRYPOINT and CMD in the form that starts no shell. */
export function parseWords({ rest, keyword, line }: Instruction): string[] {
  if (!rest.startsWith('[')) throw new Error(`Dockerfile:${line}: expected ${keyword} as a list, got ${rest}`);
  return JSON.parse(rest) as string[];
}

/** Paths that reach the build: the file must exclude everything and name what it lets in. */
export function parseDockerignore(text: string): string[] {
  const [all, ...rest] = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  if (all !== '*' || rest.some((line) => !line.startsWith('!')))
    throw new Error('.dockerignore: expected "*" and then only lines with "!"');
  return rest.map((line) => line.slice(1).replace(/\/$/, ''));
}
