/** A browser as far as connecting needs one: one cookie jar, redirects followed by hand, forms posted. */
export type Browser = {
  get(url: string): Promise<Answer>;
  /** posts an empty form */
  post(url: string): Promise<Answer>;
};

export type Answer = { readonly status: number; readonly location: string | null; readonly text: string };

export function createBrowser(): Browser {
  const cookies = new Map<string, string>();
  const send = async (url: string, method: 'GET' | 'POST'): Promise<Answer> => {
    const response = await fetch(url, {
      method,
      redirect: 'manual',
      headers: {
        cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; '),
        ...(method === 'POST' ? { 'content-type': 'application/x-www-form-urlencoded' } : {}),
      },
      ...(method === 'POST' ? { body: '' } : {}),
    });
    for (const line of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      if (name !== undefined && value !== undefined) cookies.set(name, value);
    }
    return { status: response.status, location: response.headers.get('location'), text: await response.text() };
  };
  return { get: (url) => send(url, 'GET'), post: (url) => send(url, 'POST') };
}
