import type { ActingMember, Calls } from './calls.ts';

type Group = {
  readonly eventTypes: number;
  readonly byKind: Readonly<Record<string, { readonly eventTypes: number }>>;
  /** ids of a few event types */
  readonly examples: readonly string[];
};

/** What a one-time run would do with the event types that were there before the setting for new ones. */
export type OneTimeRunPreview = {
  /** orders the run; an older one is refused as stale_preview */
  readonly generation: number;
  /** get Zoom in first place */
  readonly added: Group;
  readonly haveZoom: Group;
  readonly nobodyCanHost: Group;
  /** a removed Zoom location waits for its return */
  readonly waitForReturn: Group;
};

export type OneTimeRun = {
  readonly id: string;
  /** one-time run whose additions go; null: this one adds */
  readonly undoes: string | null;
  readonly state: 'open' | 'done' | 'dropped';
  readonly eventTypes: number;
  /** of an undo, at its end: additions that somebody edited, and that stay */
  readonly kept: number | null;
  readonly actor: string;
  readonly createdAt: string;
  readonly endedAt: string | null;
};

/** What was ordered; the worker carries it out. */
export type OneTimeRunOrdered = { readonly oneTimeRunId: string; readonly runId: string };

/** The client's `oneTimeRuns`. */
export const createOneTimeRuns = (calls: Calls) => ({
  /** The newest twenty. */
  list: (input: { organizationId: string }): Promise<{ oneTimeRuns: OneTimeRun[] }> =>
    calls.get(input.organizationId, 'one-time-runs'),
  /** What one would add, without changing anything; also before the setting is on. */
  preview: (input: { organizationId: string }): Promise<OneTimeRunPreview> =>
    calls.get(input.organizationId, 'one-time-runs/preview'),
  /** An owner or admin orders it, with the preview's generation and the setting on. */
  order: (input: { by: ActingMember; generation: number }): Promise<OneTimeRunOrdered> =>
    calls.as(input.by, 'one-time-runs', { generation: input.generation }),
  /** Takes back what it added and nobody edited since; one under way stops. */
  undo: (input: { by: ActingMember; oneTimeRunId: string }): Promise<OneTimeRunOrdered> =>
    calls.as(input.by, `one-time-runs/${encodeURIComponent(input.oneTimeRunId)}/undo`, {}),
});
