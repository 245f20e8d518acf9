/** @file What a refusal of the hub means to the user. */
import { HubError } from '../errors.js'
import type { HubId } from './hub-id.js'

export interface Refusal {
  readonly status: number
  /** The server's own words. */
  readonly said: string
}

/** An error that says whether a token, the name or the revision is at fault. */
export function explainRefusal(
  { status, said }: Refusal,
  { name, revision }: HubId,
  endpoint: string,
  hasToken: boolean,
): HubError {
  const server = said === '' ? `status ${status}` : `status ${status}: ${said}`
  const what = `${endpoint} refused repository "${name}" (${server})`
  switch (status) {
    case 401:
      return new HubError(
        hasToken
          ? `${what}: the access token in HF_TOKEN is wrong or has expired; make a new one at ${endpoint}/settings/tokens`
          : `${what}: there is no such repository, or it is private or gated; check the name, or set HF_TOKEN to an access token (${endpoint}/settings/tokens)`,
      )
    case 403:
      return new HubError(
        `${what}: ${hasToken ? 'the access token in HF_TOKEN may not read it' : 'no access token was sent'}; accept the terms at ${endpoint}/${name} if it is gated, and set HF_TOKEN to a token that may read it`,
      )
    case 404:
      return new HubError(
        `${endpoint} has no repository "${name}" with revision "${revision}" (${server}), and no file or folder here has that name; check the spelling`,
      )
    default:
      return new HubError(`${what}; try again later, or pass a local folder`)
  }
}
