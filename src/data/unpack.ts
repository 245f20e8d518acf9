/** @file Files of rows that are compressed as a whole with gzip: unpacked once, for rows are read in any order. */
import { InvalidDataError } from '../errors.js'
import type { Files } from '../io/files.js'
import { gunzipChunks } from '../io/gunzip.js'
import { fingerprintText } from '../util/fingerprint.js'
import { blobFile, chunksOf, fileAt, type RowFile } from './row-file.js'

/** Unpacked bytes that are kept in memory; what is larger goes into the cache folder, where there is one. */
const MEMORY_BYTES = 64 << 20

/** Where unpacked files may lie. */
interface Place {
  readonly files: Files
  readonly cacheFolder?: string | undefined
}

/**
 * What is in a file of gzip. Up to 64 MiB of it, and all of it where there is no cache folder, stay in memory; of larger
 * ones a copy lies in the cache folder under the hash of the packed bytes, and is found there by later runs.
 * @throws InvalidDataError if the file is not gzip, or damaged
 */
export async function gunzip(packed: RowFile, { files, cacheFolder }: Place): Promise<RowFile> {
  const { name } = packed
  const [first, second] = packed.size < 2 ? [] : await packed.read(0, 2)
  if (first !== 0x1f || second !== 0x8b)
    throw new InvalidDataError(`${name}: the file is not gzip, as its extension says; remove the .gz, or compress it again.`)
  const copy =
    cacheFolder === undefined ? undefined : `${cacheFolder}/rows/${fingerprintText(await packed.fingerprint(cacheFolder))}`
  // The whole is the same if the packed bytes are, of which the fingerprint speaks without unpacking them.
  const unpacked = (file: RowFile): RowFile => ({ ...file, fingerprint: (folder) => packed.fingerprint(folder) })
  if (copy !== undefined && (await files.exists(copy))) return unpacked(await fileAt(files, copy, name))

  const chunks = gunzipChunks(chunksOf(packed), name)
  const held: Uint8Array<ArrayBuffer>[] = []
  let size = 0
  for (;;) {
    const { value, done } = await chunks.next()
    if (done === true) return unpacked(blobFile(new Blob(held), name))
    held.push(value as Uint8Array<ArrayBuffer>)
    size += value.length
    if (size > MEMORY_BYTES && copy !== undefined) break
  }
  await files.write(
    copy,
    (async function* () {
      yield* held
      yield* chunks
    })(),
  )
  return unpacked(await fileAt(files, copy, name))
}
