import type { Control } from './control.ts';

/** The control of a simulator in another process. */
export type RemoteControl = {
  [Name in keyof Control]: (...args: Parameters<Control[Name]>) => Promise<Awaited<ReturnType<Control[Name]>>>;
};

/** Every method of the control, through its port. Rejects with what the simulator says is wrong. */
export function createControlClient(controlUrl: string): RemoteControl {
  const call = async (name: string, args: unknown): Promise<unknown> => {
    const response = await fetch(`${controlUrl}/${name}`, {
      method: 'POST',
      body: args === undefined ? '' : JSON.stringify(args),
    });
    const body = (await response.json()) as unknown;
    if (!response.ok) throw new Error((body as { error: string }).error);
    return body;
  };
  return new Proxy({} as RemoteControl, {
    // A proxy that answers `then` would be taken for a promise.
    get: (_target, name) =>
      typeof name === 'string' && name !== 'then' ? (args?: unknown) => call(name, args) : undefined,
  });
}
