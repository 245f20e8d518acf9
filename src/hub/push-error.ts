/** @file What it means when the hub does not take what is pushed. */
import { HubError } from '../errors.js'
import type { Refusal } from './hub-error.js'

/** What was being done, and how far it had come. */
export interface PushState {
  readonly repository: string
  readonly endpoint: string
  readonly tokenFrom: string
  /** The request that failed, as a clause: `making the repository`. */
  readonly doing: string
  /** What is on the hub now: `nothing was sent`. */
  readonly left: string
}

/** An error that says whether the token, the name or the content is at fault. */
export function explainPushRefusal({ status, said }: Refusal, state: PushState): HubError {
  const { repository, endpoint, tokenFrom, doing, left } = state
  const server = said === '' ? `status ${status}` : `status ${status}: ${said}`
  const what = `${endpoint} refused ${doing} ("${repository}", ${server})`
  const why: Readonly<Record<number, string>> = {
    401: `the access token in ${tokenFrom} is wrong or has expired; make one that may write at ${endpoint}/settings/tokens`,
    403: `the access token in ${tokenFrom} may not write there; make one of the kind "write" at ${endpoint}/settings/tokens, and check that you may write to "${repository.split('/')[0]}"`,
    404: `there is no such repository or branch that the access token in ${tokenFrom} may see; check the spelling, or leave the pull request (--pr) out to make it`,
    409: 'something else has that name there, or changed it meanwhile; look at it, and choose another name or push again',
    412: 'somebody else pushed meanwhile; look at what they did, and push again',
    413: 'a file is larger than the hub takes',
    429: 'too many requests; wait and push again',
  }
  const reason = why[status] ?? (status >= 500 ? 'the hub is in trouble; push again later' : 'mend what it says, and push again')
  return new HubError(`${what}: ${reason}. ${left}.`)
}
