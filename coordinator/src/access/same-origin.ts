/**
 * Was this asked by a page of ours? For what a browser sends with a cookie: a page of another site can make it send that, but cannot make
 * up these two headers. Pure. A browser that sends neither is too old to be trusted with a cookie.
 */
export const isSameOrigin = (
  headers: { origin?: string | undefined; secFetchSite?: string | undefined },
  ownOrigin: string,
): boolean => {
  if (headers.origin !== undefined && headers.origin !== ownOrigin) return false;
  if (headers.secFetchSite !== undefined && headers.secFetchSite !== 'same-origin') return false;
  return headers.origin !== undefined || headers.secFetchSite !== undefined;
};

/** What nobody could have made a browser do: there is no cookie in it, and no page of another site either. */
export const isCrossSite = (
  headers: { origin?: string | undefined; secFetchSite?: string | undefined },
  ownOrigin: string,
): boolean => (headers.origin !== undefined || headers.secFetchSite !== undefined) && !isSameOrigin(headers, ownOrigin);
