/** @file Pages of strangers: a browser sends what they ask for before anybody allows it, unless it is refused here. */
import { ApiError } from './api-error.js'

/** Whose pages may ask, and by which names. */
interface Allowed {
  readonly cors?: readonly string[]
  readonly hosts?: readonly string[]
}

/** @throws ApiError 403 for a request of a page of another origin than the server's own and those allowed */
export function checkOrigin(request: Request, { cors: allowed = [] }: Allowed): void {
  const origin = request.headers.get('origin')
  if (origin === null || allowed.includes('*') || allowed.includes(origin)) return
  if (URL.canParse(origin) && new URL(origin).host === new URL(request.url).host) return
  throw new ApiError(403, `Pages of ${origin} may not ask this server; start it with --cors ${origin} to allow them.`, {
    code: 'origin_not_allowed',
  })
}

/** @throws ApiError 403 for a request to a name that is not the server's (DNS rebinding) */
export function checkHost(request: Request, { hosts }: Allowed): void {
  if (hosts === undefined) return
  const { hostname } = new URL(request.url)
  if (hosts.includes(hostname)) return
  throw new ApiError(403, `This server is not called ${hostname}; start it with --allow-host ${hostname} if it shall be.`, {
    code: 'host_not_allowed',
  })
}
