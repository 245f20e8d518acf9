/** @file Who may ask: bearer tokens, compared in a time that says nothing of them. */
import { ApiError } from './api-error.js'

const digest = async (text: string): Promise<Uint8Array> =>
  new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text)))

/** Whether two digests are equal; all of their bytes are looked at. */
const equal = (a: Uint8Array, b: Uint8Array): boolean => a.reduce((sum, byte, i) => sum | (byte ^ b[i]!), 0) === 0

/** The keys of a server. */
export class ApiKeys {
  private readonly digests: Promise<readonly Uint8Array[]>

  constructor(private readonly keys: readonly string[]) {
    this.digests = Promise.all(keys.map(digest))
  }

  /**
   * Which key a request shows, as a name for turns and logs that does not tell it: `key-1`. Undefined where the server has none.
   * @throws ApiError 401 if it shows none of them
   */
  async holder(headers: Headers): Promise<string | undefined> {
    if (this.keys.length === 0) return undefined
    const shown = /^Bearer +(.+)$/i.exec(headers.get('authorization') ?? '')?.[1]?.trim()
    if (shown === undefined) throw refused('You did not provide an API key: send it as `Authorization: Bearer KEY`.')
    const own = await digest(shown)
    const matches = (await this.digests).map((known) => equal(known, own))
    const found = matches.indexOf(true)
    if (found < 0) throw refused('Incorrect API key provided.')
    return `key-${found + 1}`
  }
}

const refused = (message: string): ApiError =>
  new ApiError(401, message, { code: 'invalid_api_key', headers: { 'www-authenticate': 'Bearer' } })
