/**
 * Is in every token and code that the simulator gives out, so that whoever looks for secrets where none belong – in logs,
 * payloads, pages, databases – knows them when they see one. Letters only: in URLs, forms and JSON it stays as it is.
 */
export const secretMark = 'CANARYSECRET';
