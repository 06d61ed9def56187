/** What was opened, to be closed in the opposite order, however far the opening came. */
export type ReleaseStack = {
  /** Remembers how to close something just opened. */
  add(name: string, release: () => Promise<void> | void): void;
  /** Closes everything, last first; goes on after a failure and reports all of them. Once only. */
  release(): Promise<readonly { readonly name: string; readonly error: unknown }[]>;
};

export function createReleaseStack(): ReleaseStack {
  const stack: { name: string; release: () => Promise<void> | void }[] = [];
  return {
    add(name, release) {
      stack.push({ name, release });
    },
    async release() {
      const failures: { name: string; error: unknown }[] = [];
      for (let next = stack.pop(); next; next = stack.pop()) {
        try {
          await next.release();
        } catch (error) {
          failures.push({ name: next.name, error });
        }
      }
      return failures;
    },
  };
}
