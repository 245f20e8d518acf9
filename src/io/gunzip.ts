/** @file Gzip that is unpacked as it is read. */
import { FileError, InvalidDataError, messageOf } from '../errors.js'
import { chunksOf } from './blobs.js'

/**
 * What is in bytes of gzip, a chunk at a time.
 * @param packed what its reading throws passes
 * @param name what messages call it
 * @throws InvalidDataError if the bytes are damaged, or end before they should
 */
export async function* gunzipChunks(packed: AsyncGenerator<Uint8Array>, name: string): AsyncGenerator<Uint8Array> {
  /** What was wrong with reading, rather than with what was read. */
  let unread: unknown
  const bytes = new ReadableStream<Uint8Array<ArrayBuffer>>({
    async pull(controller) {
      try {
        const { value, done } = await packed.next()
        if (done === true) controller.close()
        else controller.enqueue(value as Uint8Array<ArrayBuffer>)
      } catch (error) {
        unread = error
        controller.error(error)
      }
    },
  })
  try {
    yield* chunksOf(bytes.pipeThrough(new DecompressionStream('gzip')))
  } catch (cause) {
    if (unread !== undefined) throw unread
    if (cause instanceof FileError) throw cause
    throw new InvalidDataError(
      `${name}: the gzip data is damaged or cut off (${messageOf(cause)}); get the file again, or compress it again.`,
      { cause },
    )
  }
}
