/** @file Requests with an access token, which goes to the hub alone. */
import type { HubSettings } from './hub-id.js'

/**
 * The same requests, with the token on those to the endpoint: fetch drops it when a redirect leads elsewhere. The hub's
 * library would accept only the tokens of huggingface.co, so it is not told of one.
 */
export function authorized(base: typeof fetch, { endpoint, token }: Pick<HubSettings, 'endpoint' | 'token'>): typeof fetch {
  const { origin } = new URL(endpoint)
  return (input, init) => {
    const url = input instanceof Request ? input.url : String(input)
    const headers = new Headers(init?.headers)
    if (token !== undefined && new URL(url).origin === origin) headers.set('Authorization', `Bearer ${token}`)
    return base(input, { ...init, headers })
  }
}
