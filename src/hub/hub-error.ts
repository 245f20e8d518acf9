/** @file What a refusal of the hub means to the user. */
import { HubError } from '../errors.js'
import type { HubId } from './hub-id.js'

export interface Refusal {
  readonly status: number
  /** The server's own words. */
  readonly said: string
}

/** What the server says in the body of a refusal, if that is a sentence. */
export function said(data: unknown): string {
  const { error, message } = (data ?? {}) as { error?: unknown; message?: unknown }
  const text = typeof error === 'string' ? error : typeof message === 'string' ? message : ''
  return text.length < 200 && !text.includes('<') ? text : ''
}

/** An error that says whether a token, the name or the revision is at fault. */
export function explainRefusal(
  { status, said }: Refusal,
  { name, revision }: HubId,
  endpoint: string,
  /** Where the token is from; undefined if there is none. */
  tokenFrom: string | undefined,
): HubError {
  const server = said === '' ? `status ${status}` : `status ${status}: ${said}`
  const what = `${endpoint} refused repository "${name}" (${server})`
  switch (status) {
    case 401:
      return new HubError(
        tokenFrom !== undefined
          ? `${what}: the access token in ${tokenFrom} is wrong or has expired; make a new one at ${endpoint}/settings/tokens`
          : `${what}: there is no such repository, or it is private or gated; check the name, or set HF_TOKEN to an access token (${endpoint}/settings/tokens)`,
      )
    case 403:
      return new HubError(
        `${what}: ${tokenFrom === undefined ? 'no access token was sent' : `the access token in ${tokenFrom} may not read it`}; accept the terms at ${endpoint}/${name} if it is gated, and set HF_TOKEN to a token that may read it`,
      )
    case 404:
      return new HubError(
        `${endpoint} has no repository "${name}" with revision "${revision}" (${server}), and no file or folder here has that name; check the spelling`,
      )
    default:
      return new HubError(`${what}; try again later, or pass a local folder`)
  }
}
