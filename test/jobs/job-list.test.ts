import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { defineJob, parsePayload } from '../../src/jobs/contract/define-job.ts';
import type { AnyJobDefinition } from '../../src/jobs/contract/definition.ts';
import { done } from '../../src/jobs/contract/result.ts';
import { exponential } from '../../src/jobs/contract/retry.ts';
import { jobList } from '../../src/jobs/job-list.ts';

const dir = join(import.meta.dirname, '../../src/jobs');
const files = readdirSync(dir).filter((name) => name.endsWith('.ts') && name !== 'job-list.ts');

test('every file of src/jobs is one job, named like it, and in the list', async () => {
  const found: AnyJobDefinition[] = [];
  for (const file of files) {
    const exported = Object.values((await import(join(dir, file))) as Record<string, unknown>);
    expect(exported, file).toHaveLength(1);
    const [job] = exported as [AnyJobDefinition];
    expect(`${job.name}.ts`).toBe(file);
    expect(jobList, file).toContain(job);
    found.push(job);
  }
  expect(jobList).toHaveLength(found.length);
  expect(files.length).toBeGreaterThan(0);
});

test('definitions are frozen, and names and aliases are nobody else’s', () => {
  const names = jobList.flatMap((job) => [job.name, ...job.aliases]);
  expect(new Set(names).size).toBe(names.length);
  for (const job of jobList) expect(Object.isFrozen(job), job.name).toBe(true);
});

test('payloads are strict: what does not belong there does not get in', () => {
  const sample: Record<string, Record<string, string>> = {
    'verify-admin-role': { connectionId: '6f9619ff-8b86-4011-b42d-00cf4fc964ff' },
    'sync-zoom-directory': { zoomAccountId: 'abc' },
    'reconcile-organization': { organizationId: '6f9619ff-8b86-4011-b42d-00cf4fc964ff' },
    'reconcile-member': { memberId: '6f9619ff-8b86-4011-b42d-00cf4fc964ff' },
    'reconcile-event-type': { eventTypeId: '6f9619ff-8b86-4011-b42d-00cf4fc964ff' },
    'disconnect-organization': {
      organizationId: '6f9619ff-8b86-4011-b42d-00cf4fc964ff',
      runId: '6f9619ff-8b86-4011-b42d-00cf4fc964ff',
    },
    'reconcile-due': {},
  };
  for (const job of jobList) {
    const payload = sample[job.name];
    expect(payload, job.name).toBeDefined();
    expect(parsePayload(job, payload)).toEqual(payload);
    expect(() => parsePayload(job, { ...payload, accessToken: 'eyJ-secret' }), job.name).toThrow(/does not parse/);
    try {
      parsePayload(job, { ...payload, accessToken: 'eyJ-secret' });
    } catch (error) {
      expect(String(error)).not.toContain('eyJ-secret');
    }
  }
});

test('what is wrong with a definition is said when it loads', () => {
  const base = {
    name: 'fine',
    queue: 'quick' as const,
    version: 1,
    payload: z.strictObject({}),
    attempts: 1,
    retry: exponential({ firstMs: 1, capMs: 2 }),
    timeoutMs: 1_000,
    unique: () => 'x',
    handler: async () => done(),
  };
  expect(() => defineJob(base)).not.toThrow();
  expect(() => defineJob({ ...base, name: 'Not Fine' })).toThrow(/kebab-case/);
  expect(() => defineJob({ ...base, queue: 'slow' as never })).toThrow(/expected a queue of/);
  expect(() => defineJob({ ...base, attempts: 0 })).toThrow(/attempts/);
  expect(() => defineJob({ ...base, version: 0 })).toThrow(/version/);
  expect(() => defineJob({ ...base, timeoutMs: 0 })).toThrow(/time-out/);
});

test('retries grow to a cap, differ from each other, and believe who says when', () => {
  const policy = exponential({ firstMs: 100, capMs: 1_000, random: () => 1 });
  expect([1, 2, 3, 4, 5, 6].map((attempt) => policy({ attempt, error: undefined }))).toEqual([
    100, 200, 400, 800, 1_000, 1_000,
  ]);
  const early = exponential({ firstMs: 100, capMs: 1_000, random: () => 0 });
  expect(early({ attempt: 3, error: undefined })).toBe(200);
  expect(policy({ attempt: 1, error: { retryAfterMs: 700 } })).toBe(700);
  expect(policy({ attempt: 1, error: { retryAfterMs: 700_000 } })).toBe(1_000);
});
