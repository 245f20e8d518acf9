/** @file Requests that send files: given up when nothing moves, and told of every piece that has left. */

/** Milliseconds in which nothing moved after which a connection counts as broken; a server may think about what it got. */
const STALL = 180_000

/** Content that tells of each piece as it is taken. A Blob, since fetch then says its length, which storage asks for. */
class WatchedBlob extends Blob {
  constructor(
    private readonly content: Blob,
    private readonly taken: (bytes: number) => void,
  ) {
    super()
  }

  override get size(): number {
    return this.content.size
  }

  override get type(): string {
    return this.content.type
  }

  override stream(): ReturnType<Blob['stream']> {
    const watch = new TransformStream<Uint8Array, Uint8Array>({
      transform: (chunk, controller) => {
        this.taken(chunk.length)
        controller.enqueue(chunk)
      },
    })
    return (this.content.stream() as ReadableStream<Uint8Array>).pipeThrough(watch) as ReturnType<Blob['stream']>
  }
}

interface Sending {
  readonly stall?: number | undefined
  /** Told how many bytes of a file went on their way. */
  readonly onBytes: (bytes: number) => void
}

/** A request that is given up when for `stall` milliseconds neither a piece of its body is taken nor the answer begins. */
export async function sendWithin(
  base: typeof fetch,
  input: RequestInfo | URL,
  init: RequestInit | undefined,
  { stall = STALL, onBytes }: Sending,
): Promise<Response> {
  const controller = new AbortController()
  const late = (): void => controller.abort(new Error(`nothing moved for ${stall / 1000} seconds`))
  let timer = setTimeout(late, stall)
  const moved = (): void => {
    clearTimeout(timer)
    timer = setTimeout(late, stall)
  }
  const { signal, body } = init ?? {}
  const abort = (): void => controller.abort(signal?.reason)
  if (signal?.aborted === true) abort()
  signal?.addEventListener('abort', abort)
  const isFile = body instanceof Blob
  const content = typeof body === 'string' ? new Blob([body]) : isFile ? body : undefined
  const watched =
    content === undefined
      ? undefined
      : new WatchedBlob(content, (bytes) => {
          moved()
          if (isFile) onBytes(bytes)
        })
  try {
    return await base(input, { ...init, ...(watched !== undefined && { body: watched }), signal: controller.signal })
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', abort)
  }
}
