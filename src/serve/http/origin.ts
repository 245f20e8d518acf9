/** @file Pages of strangers: a browser sends what they ask for before anybody allows it, unless it is refused here. */
import { ApiError } from './api-error.js'

/**
 * @param allowed origins, `*` for all
 * @throws ApiError 403 for a request of a page of another origin than the server's own and those allowed
 */
export function checkOrigin(request: Request, allowed: readonly string[] = []): void {
  const origin = request.headers.get('origin')
  if (origin === null || allowed.includes('*') || allowed.includes(origin)) return
  if (URL.canParse(origin) && new URL(origin).host === new URL(request.url).host) return
  throw new ApiError(403, `Pages of ${origin} may not ask this server; start it with --cors ${origin} to allow them.`, {
    code: 'origin_not_allowed',
  })
}
