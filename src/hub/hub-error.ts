/** @file What a refusal of the hub means to the user. */
import { HubError } from '../errors.js'
import type { DatasetId } from '../data/dataset-id.js'
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

/** What was asked of the hub, in the words of a refusal. */
export interface Asked {
  readonly noun: 'repository' | 'data set'
  readonly name: string
  /** Where its page is, behind the endpoint. */
  readonly page: string
  /** What the hub does not have. @param server what it answered */
  readonly lacking: (server: string) => string
  /** What else there is to do. */
  readonly instead: string
}

/** A repository at a revision. */
export const askedRepository = ({ name, revision }: HubId): Asked => ({
  noun: 'repository',
  name,
  page: name,
  lacking: (server) =>
    `no repository "${name}" with revision "${revision}" (${server}), and no file or folder here has that name`,
  instead: 'pass a local folder',
})

/** The files of a data set. */
export const askedDataset = ({ name }: DatasetId): Asked => ({
  noun: 'data set',
  name,
  page: `datasets/${name}`,
  lacking: (server) => `no data set "${name}", or no Parquet files of it (${server})`,
  instead: 'give files of rows',
})

/**
 * An error that says whether a token, the name or the revision is at fault.
 * @param tokenFrom where the token is from; undefined if there is none
 */
export function explainRefusal(
  { status, said }: Refusal,
  { noun, name, page, lacking, instead }: Asked,
  endpoint: string,
  tokenFrom: string | undefined,
): HubError {
  const server = said === '' ? `status ${status}` : `status ${status}: ${said}`
  const what = `${endpoint} refused ${noun === 'repository' ? noun : `the ${noun}`} "${name}" (${server})`
  switch (status) {
    case 401:
      return new HubError(
        tokenFrom !== undefined
          ? `${what}: the access token in ${tokenFrom} is wrong or has expired; make a new one at ${endpoint}/settings/tokens`
          : `${what}: there is no such ${noun}, or it is private or gated; check the name, or set HF_TOKEN to an access token (${endpoint}/settings/tokens)`,
      )
    case 403:
      return new HubError(
        `${what}: ${tokenFrom === undefined ? 'no access token was sent' : `the access token in ${tokenFrom} may not read it`}; accept the terms at ${endpoint}/${page} if it is gated, and set HF_TOKEN to a token that may read it`,
      )
    case 404:
      return new HubError(`${endpoint} has ${lacking(server)}; check the spelling`)
    default:
      return new HubError(`${what}; try again later, or ${instead}`)
  }
}
