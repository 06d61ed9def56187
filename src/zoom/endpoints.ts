/** Where Zoom is asked. In production these are Zoom's own hosts; anything else needs simulator mode (config.ts). */
export type ZoomEndpoints = {
  readonly authorizeUrl: string;
  readonly tokenUrl: string;
  readonly revokeUrl: string;
  /** global API base, without a slash at the end */
  readonly apiBase: string;
  /** whether a regional base that Zoom named in `api_url` may be given a token */
  trustedApiBase(url: string): boolean;
};

const regional = /^https:\/\/api(-[a-z]{2})?\.zoom\.us\/?$/;

/** Zoom's own hosts. Regional bases `https://api-xx.zoom.us` are followed, nothing else (zoom-api, OAuth). */
export const zoomEndpoints: ZoomEndpoints = Object.freeze({
  authorizeUrl: 'https://zoom.us/oauth/authorize',
  tokenUrl: 'https://zoom.us/oauth/token',
  revokeUrl: 'https://zoom.us/oauth/revoke',
  apiBase: 'https://api.zoom.us',
  trustedApiBase: (url: string) => regional.test(url),
});

/** All of Zoom at one address: the simulator. The configuration allows it in simulator mode only. */
export function simulatorEndpoints(baseUrl: string): ZoomEndpoints {
  const base = baseUrl.replace(/\/+$/, '');
  return Object.freeze({
    authorizeUrl: `${base}/oauth/authorize`,
    tokenUrl: `${base}/oauth/token`,
    revokeUrl: `${base}/oauth/revoke`,
    apiBase: base,
    trustedApiBase: (url: string) => url.replace(/\/+$/, '') === base,
  });
}
