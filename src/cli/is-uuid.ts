const pattern = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Whether somebody typed an id: then the index is asked, and Postgres need not refuse the text. */
export const isUuid = (typed: string): boolean => pattern.test(typed);
