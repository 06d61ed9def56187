const rules: readonly [RegExp, string][] = [
  // OAuth parameters and JSON members that carry secrets, wherever they turn up in a text.
  [
    /\b(access_token|refresh_token|client_secret|code_verifier|password|token)(["']?\s*[=:]\s*["']?)[^\s"'&,;}\])]+/gi,
    '$1$2[secret]',
  ],
  // Only as parameters of a URL or form: `code: ECONNRESET` and `state: active` are what logs are for.
  [/(^|[?&\s])(code|state)=[^\s&"']+/g, '$1$2=[secret]'],
  [/\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{8,}/g, '$1 [secret]'],
  // Passwords in URLs: postgres://user:password@host
  [/\b([a-z][a-z0-9+.-]*:\/\/[^\s:/@]*):[^\s@/]+@/gi, '$1:[secret]@'],
  // Three base64url parts: a JSON web token, which is what Zoom's tokens are.
  [/\beyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]*/g, '[secret]'],
  // Our own sealed form tells nothing, and is not for logs either.
  [/\bv1\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+/g, '[sealed]'],
];

/** A text of somebody else (an error, an answer) without what looks like a secret. The last net, not the first. */
export function scrub(text: string): string {
  return rules.reduce((left, [pattern, replacement]) => left.replace(pattern, replacement), text);
}
