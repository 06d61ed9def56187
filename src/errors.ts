export type ErrorContext = Readonly<Record<string, string | number | boolean | null>>;

/**
 * An error with a stable code and facts for the log. The message says what was expected, what came,
 * and what to do next; neither message nor context ever holds a token, a code or a signature.
 */
export class StewardError extends Error {
  override readonly name = 'StewardError';
  readonly code: string;
  readonly context: ErrorContext;

  constructor(code: string, message: string, options: { context?: ErrorContext; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.context = options.context ?? {};
  }
}
