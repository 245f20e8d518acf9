/** @file Server-sent events, as OpenAI's clients read them. */

/** An event: `data` is JSON unless it is a text such as `[DONE]`. */
export const frame = (data: object | string, event?: string): string =>
  `${event === undefined ? '' : `event: ${event}\n`}data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`

/** A comment, which clients skip: proxies see that the connection is in use. */
const KEEP_ALIVE = ': keep-alive\n\n'

/** What a stream needs beside its frames. */
export interface EventStreamOptions {
  /** Milliseconds of silence after which a comment is sent. */
  readonly keepAlive: number
  /** Told that the client has gone. */
  readonly onCancel: () => void
  /** Told once there is a stream that will have an end. */
  readonly onBegin: () => void
  /** Told at the end. */
  readonly onEnd: () => void
  /** The event in which an error is told. */
  readonly errorFrame: (error: unknown) => string
}

const headers = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache',
  // Of nginx, which would wait for more.
  'x-accel-buffering': 'no',
}

type Next = IteratorResult<string, unknown>

/**
 * Frames as they come. What breaks before the first, in the time of a keep-alive, is thrown, so that it can be an HTTP status; what breaks
 * later is told in a frame, and ends the stream.
 */
export async function eventStream(frames: AsyncGenerator<string, unknown>, options: EventStreamOptions): Promise<Response> {
  const { keepAlive, onCancel, onBegin, onEnd, errorFrame } = options
  let pending: Promise<Next> = frames.next()
  await orSilence(pending, keepAlive)
  const encoder = new TextEncoder()
  let isOver = false
  const end = (): void => {
    if (isOver) return
    isOver = true
    onEnd()
  }
  onBegin()
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const write = (text: string): void => {
        if (!isOver) controller.enqueue(encoder.encode(text))
      }
      try {
        const next = await orSilence(pending, keepAlive)
        if (next === undefined) return write(KEEP_ALIVE)
        if (next.done !== true) {
          pending = frames.next()
          // It is looked at in the next turn.
          pending.catch(() => undefined)
          return write(next.value)
        }
        if (isOver) return
        end()
      } catch (error) {
        write(errorFrame(error))
        if (isOver) return
        end()
      }
      controller.close()
    },
    async cancel() {
      onCancel()
      end()
      await frames.return(undefined).catch(() => undefined)
    },
  })
  return new Response(body, { headers })
}

/** What a promise gives, or undefined after so many milliseconds. */
async function orSilence<T>(promise: Promise<T>, milliseconds: number): Promise<T | undefined> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const silence = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), milliseconds)
  })
  try {
    return await Promise.race([promise, silence])
  } finally {
    clearTimeout(timer)
  }
}
