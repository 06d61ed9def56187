/** What the simulator answers, before faults. */
export type Answer = {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: string;
  readonly contentType: string;
};

/** A JSON answer. */
export const json = (status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): Answer => ({
  status,
  headers,
  body: JSON.stringify(body),
  contentType: 'application/json;charset=UTF-8',
});

/** A page. */
export const page = (status: number, body: string): Answer => ({
  status,
  body: `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Zoom (simulated)</title></head><body>${body}</body></html>`,
  contentType: 'text/html;charset=UTF-8',
});

/** 204 without a body. */
export const nothing: Answer = { status: 204, body: '', contentType: '' };

/** The API's error body. */
export const apiError = (status: number, code: number, message: string): Answer => json(status, { code, message });

/** Text for HTML. */
export const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (letter) => `&#${letter.charCodeAt(0)};`);
