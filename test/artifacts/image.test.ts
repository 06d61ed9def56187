import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Ajv } from 'ajv';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { environmentOf, filledEnvFile, parseCompose } from '../../scripts/image/compose-file.ts';
import { parseCopy, parseDockerfile, parseDockerignore, parseWords } from '../../scripts/image/dockerfile.ts';
import { parseConfig } from '../../src/config.ts';

const repository = resolve(import.meta.dirname, '../..');
const read = (path: string): string => readFileSync(join(repository, path), 'utf8');
const composeText = read('docker-compose.yml');
const compose = parseCompose(composeText);
const envFile = filledEnvFile(read('.env.example'));
const ours = Object.entries(compose.services).filter(([, service]) => service.image === 'zoom-steward');

describe('docker-compose.yml', () => {
  const { $schema: _, ...schema } = JSON.parse(read('test/artifacts/schema/compose-spec.json')) as { $schema: string };
  const validate = new Ajv({ strict: false, validateFormats: false }).compile(schema);
  const valid = (text: string): boolean => validate(parse(text, { merge: true }));

  test('is what the Compose schema allows, and the schema notices a slip', () => {
    expect([valid(composeText), validate.errors]).toEqual([true, null]);
    expect(valid(composeText.replace('healthcheck:', 'healtcheck:'))).toBe(false);
    expect(valid(composeText.replace('condition: service_healthy', 'condition: service_fine'))).toBe(false);
  });

  test('gives migrate, worker and server an environment that config.ts takes', () => {
    expect(ours.map(([name]) => name)).toEqual(['migrate', 'worker', 'server']);
    for (const [, service] of ours) {
      const config = parseConfig(environmentOf(service, envFile));
      expect(config).toMatchObject({ mode: 'production', queue: 'redis' });
      expect(config.databaseUrl.reveal()).toBe('postgres://steward:steward@postgres:5432/app');
      expect(config.redisUrl?.reveal()).toBe('redis://valkey:6379');
    }
  });

  test('waits ten seconds longer for a worker than the worker takes at most, and asks a port it listens on', () => {
    const worker = compose.services['worker']!;
    const config = parseConfig(environmentOf(worker, envFile));
    expect(worker.stop_grace_period).toBe(`${config.shutdownMs / 1000 + 10}s`);
    expect(worker.healthcheck?.test.join(' ')).toContain(`http://127.0.0.1:${config.operating.port}/healthz`);
    const server = compose.services['server']!;
    const { port } = parseConfig(environmentOf(server, envFile)).http;
    expect(server.healthcheck?.test.join(' ')).toContain(`http://127.0.0.1:${port}/healthz`);
  });
});

describe('Dockerfile', () => {
  const stages = parseDockerfile(read('Dockerfile'));
  const image = stages.at(-1)!;
  const last = (keyword: string) => image.instructions.findLast((instruction) => instruction.keyword === keyword)!;

  test('copies only what exists and what .dockerignore lets in, or what an earlier stage has', () => {
    const letIn = parseDockerignore(read('.dockerignore'));
    const copies = stages.flatMap(({ instructions }) =>
      instructions.filter(({ keyword }) => keyword === 'COPY').map(parseCopy),
    );
    const fromContext = copies.filter(({ from }) => from === null).flatMap(({ sources }) => sources);
    expect(fromContext.filter((path) => !existsSync(join(repository, path)))).toEqual([]);
    expect(fromContext.filter((path) => !letIn.includes(path))).toEqual([]);
    expect(letIn.filter((path) => !fromContext.includes(path))).toEqual([]);
    const names = stages.map(({ name }) => name);
    expect(copies.filter(({ from }) => from !== null && !names.includes(from))).toEqual([]);
  });

  test('starts the command line without a shell, as a user who is not root', () => {
    const [program, script] = parseWords(last('ENTRYPOINT'));
    expect([program, existsSync(join(repository, script!))]).toEqual(['node', true]);
    expect(parseWords(last('CMD'))).toEqual(['worker']);
    expect(last('USER').rest).toBe('node');
  });

  test('an instruction that the image check would not execute is refused', () => {
    expect(() => parseDockerfile('FROM a\nADD b c\n')).toThrow('Dockerfile:2: expected FROM');
    expect(() => parseDockerfile('RUN x\n')).toThrow('expected FROM first');
    expect(parseDockerfile('FROM a AS b\nRUN x \\\n  && y\n')[0]?.instructions[0]?.rest).toMatch(/^x\s+&& y$/);
    expect(() => parseDockerignore('node_modules\n')).toThrow('.dockerignore');
  });
});
