/** @file An answer that is written while it is sent. */
import { tell } from './app.js'
import type { ApiError } from './api-error.js'
import { eventStream, frame } from './event-stream.js'
import type { Exchange } from './route.js'

/**
 * Sends frames as they come, see {@link eventStream}; the log's line is written at the end.
 * @param errorFrame the event in which an error is told, where it is not OpenAI's `data: {"error": …}`
 */
export function streamAnswer(
  exchange: Exchange,
  frames: AsyncGenerator<string, unknown>,
  errorFrame: (error: ApiError) => string = ({ body }) => frame(body),
): Promise<Response> {
  const { record, service, abort, lasts } = exchange
  record.stream = true
  let end = (): void => undefined
  const ended = new Promise<void>((resolve) => (end = resolve))
  return eventStream(frames, {
    keepAlive: service.options.keepAlive * 1000,
    onCancel: abort,
    onBegin: () => lasts(ended),
    onEnd: end,
    errorFrame: (thrown) => errorFrame(tell(thrown, exchange)),
  })
}
