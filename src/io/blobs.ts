/** @file What the file systems of browsers share: paths, blobs as chunks, contents as one blob. */
import { FileError } from '../errors.js'

/** `a//b/./c/` as `a/b/c`. @throws FileError for a path that leads out with `..` */
export function normalPath(path: string): string {
  const parts: string[] = []
  for (const part of path.split('/')) {
    if (part === '' || part === '.') continue
    if (part !== '..') parts.push(part)
    else if (parts.pop() === undefined) throw new FileError(`"${path}" leads out of the file system; remove the ".."`)
  }
  return parts.join('/')
}

/** Bytes of a range of a blob, or of all of it. @throws FileError if the blob is shorter */
export async function readBlob(
  blob: Blob,
  path: string,
  range?: { readonly offset: number; readonly length: number },
): Promise<Uint8Array> {
  if (range !== undefined && range.offset + range.length > blob.size) throw tooShort(path, range, blob.size)
  const part = range === undefined ? blob : blob.slice(range.offset, range.offset + range.length)
  return new Uint8Array(await part.arrayBuffer())
}

export const tooShort = (path: string, range: { offset: number; length: number }, size: number): FileError =>
  new FileError(
    `${path} ends too early: ${range.length} bytes from offset ${range.offset} are needed, the file has ${size} bytes`,
  )

export const missing = (path: string): FileError => new FileError(`${path} does not exist; check the path`)

/** Chunks of a stream; browsers differ in whether it can be iterated itself. */
export async function* chunksOf<T = Uint8Array>(stream: ReadableStream<T>): AsyncIterable<T> {
  const reader = stream.getReader()
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      yield value
    }
  } finally {
    reader.releaseLock()
  }
}

/** What is to be written, whole: an error of its source comes before anything is changed. */
export async function toBlob(content: Uint8Array | string | AsyncIterable<Uint8Array>): Promise<Blob> {
  if (typeof content === 'string') return new Blob([content])
  if (content instanceof Uint8Array) return new Blob([content as Uint8Array<ArrayBuffer>])
  const parts: Blob[] = []
  // A chunk's buffer may be used again by its source.
  for await (const chunk of content) parts.push(new Blob([chunk as Uint8Array<ArrayBuffer>]))
  return new Blob(parts)
}
