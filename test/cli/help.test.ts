import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { commands } from '../../src/cli/command-list.ts';
import { playCli } from './play-cli.ts';

const silent = { stdout() {}, stderr() {} };
const io = {
  ...silent,
  interactive: false,
  live: false,
  color: false,
  ask: () => Promise.reject(new Error('asked')),
  env: () => undefined,
  signal: new AbortController().signal,
  force: new AbortController().signal,
};

/** Every command line that has a help of its own, sub-commands after their command. */
function paths(): string[][] {
  return commands.flatMap((create) => {
    const command = create(io, () => {});
    return [[command.name()], ...command.commands.map((child) => [command.name(), child.name()])];
  });
}

// The page is the golden file: "npx vitest run test/cli/help -u" writes it anew.
test('docs/cli.md is what --help says, for every command', async () => {
  const sections = [];
  for (const path of [[], ...paths()]) {
    const { out, code } = await playCli([...path, '--help']);
    expect(code).toBe(0);
    if (path.length > 0 && path[0] !== 'runs') expect(out).toMatch(/^Examples:\n/);
    sections.push(`## ${['zoom-steward', ...path].join(' ')}\n\n\`\`\`text\n${out.trimEnd()}\n\`\`\`\n`);
  }
  const page = `# Command line

In the repository \`npm run -s steward -- COMMAND\`; installed, \`zoom-steward COMMAND\`. Data goes to stdout, messages to
stderr; \`--json\` makes both machine-readable; nothing is asked without a terminal or with \`--no-input\`; \`NO_COLOR\` is
honoured. What writes wants a reason for the audit log and says how to undo it. Everything below is what \`--help\` prints:
\`test/cli/help.test.ts\` compares it.

${sections.join('\n')}`;
  await expect(page).toMatchFileSnapshot('../../docs/cli.md');
});

test('every command takes --json and --no-input and documents its exit codes', async () => {
  const leaves = paths().filter(
    (path, _, all) => !all.some((other) => other.length > path.length && other[0] === path[0]),
  );
  for (const path of leaves) {
    const { out } = await playCli([...path, '--help']);
    expect(out, path.join(' ')).toMatch(/--json[\s\S]*--no-input[\s\S]*Exit codes:\n {2}0 {2}/);
  }
});

test('an example that writes gives its reason: typed by a script, it is not refused', () => {
  const page = readFileSync(join(import.meta.dirname, '../../docs/cli.md'), 'utf8');
  const examples = page.match(/^ {2}\$ zoom-steward .*$/gm) ?? [];
  const writing =
    /^ {2}\$ zoom-steward (connect-link|restore|verify|service-key|pause|resume|dead-letters (replay|drop)|.* --apply|.* --yes|.* --confirm)/;
  expect(examples.filter((line) => writing.test(line) && !line.includes('--reason "'))).toEqual([]);
  expect(examples.filter((line) => /^ {2}\$ zoom-steward (?!-)\S*[A-Z=]/.test(line))).toEqual([]);
});
