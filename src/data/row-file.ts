/** @file The bytes that rows are read from: a file by its path, or a blob. */
import type { Files } from '../io/files.js'
import { readBlob } from '../io/blobs.js'
import { ContentHash, fingerprintFile } from '../util/fingerprint.js'

/** Bytes read at once where all of them are wanted. */
const CHUNK_BYTES = 4 << 20

/** Bytes that rows are read from, at any place. */
export interface RowFile {
  /** What messages call it. */
  readonly name: string
  /** Number of bytes. */
  readonly size: number
  /** @throws FileError if it ends before */
  read(offset: number, length: number): Promise<Uint8Array>
  /** Tells whether two are the same: size, and a hash of every byte. */
  fingerprint(cacheFolder?: string): Promise<string>
}

/** The bytes of a file. @param name what messages call it @throws FileError if it is missing */
export const fileAt = async (files: Files, path: string, name = path): Promise<RowFile> => ({
  name,
  size: await files.size(path),
  read: (offset, length) => files.read(path, { offset, length }),
  fingerprint: (cacheFolder) => fingerprintFile(files, path, cacheFolder),
})

/** The bytes of a blob, which a page leaves on disk until they are read. */
export const blobFile = (blob: Blob, name: string): RowFile => {
  const file: RowFile = {
    name,
    size: blob.size,
    read: (offset, length) => readBlob(blob, name, { offset, length }),
    async fingerprint() {
      const hash = new ContentHash()
      for await (const chunk of chunksOf(file)) hash.update(chunk)
      return `${blob.size}:${hash.digest()}`
    },
  }
  return file
}

/** All bytes in order, never all at once. */
export async function* chunksOf(file: RowFile, chunk = CHUNK_BYTES): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset < file.size; offset += chunk) yield await file.read(offset, Math.min(chunk, file.size - offset))
}
