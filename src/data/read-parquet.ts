/** @file Parquet, a row group at a time. */
import { parquetMetadataAsync, parquetReadObjects, type AsyncBuffer, type FileMetaData } from 'hyparquet'
import { InvalidDataError } from '../errors.js'
import type { Files } from '../io/files.js'
import { MAX_ROW_BYTES, tooLong } from './record-file.js'
import type { Row, RowSource } from './rows.js'

/** Decoded row groups kept at once, in bytes before compression; at least the last one stays. */
const CACHE_BYTES = 256 << 20
/** A row group is decoded as a whole. */
const MAX_GROUP_BYTES = 2 ** 31
/** Codecs that the reader decodes by itself. */
const CODECS: readonly string[] = ['UNCOMPRESSED', 'SNAPPY']

/**
 * Opens a Parquet file. Rows are decoded by row group and the last groups are kept, so a shuffled file larger than
 * 256 MiB decodes groups again and again: write it with small row groups, or as JSON lines.
 * @throws InvalidDataError if the file is damaged or compressed by other than snappy
 */
export async function openParquet(files: Files, path: string): Promise<RowSource> {
  const size = await files.size(path)
  const file: AsyncBuffer = {
    byteLength: size,
    async slice(start, end = size) {
      const offset = start < 0 ? Math.max(0, size + start) : start
      const bytes = await files.read(path, { offset, length: Math.min(end, size) - offset })
      return bytes.slice().buffer
    },
  }
  let metadata: FileMetaData
  try {
    metadata = await parquetMetadataAsync(file)
  } catch (cause) {
    throw new InvalidDataError(`${path}: not a Parquet file, or damaged (${messageOf(cause)}); write it again.`, { cause })
  }
  const codec = metadata.row_groups
    .flatMap((group) => group.columns.map((column) => column.meta_data?.codec))
    .find((name) => name !== undefined && !CODECS.includes(name))
  if (codec !== undefined)
    throw new InvalidDataError(
      `${path}: compressed with ${codec}; expected ${CODECS.join(' or ')}. Write the file again with snappy compression.`,
    )

  const large = metadata.row_groups.findIndex((group) => Number(group.total_byte_size) > MAX_GROUP_BYTES)
  if (large >= 0)
    throw new InvalidDataError(
      `${path}, row group ${large}: it holds ${Number(metadata.row_groups[large]!.total_byte_size)} bytes, and ${MAX_GROUP_BYTES} are the most that is decoded at once; write the file with smaller row groups.`,
    )

  const groups = metadata.row_groups.map((group) => ({ rows: Number(group.num_rows), bytes: Number(group.total_byte_size) }))
  const starts: number[] = [0]
  for (const group of groups) starts.push((starts.at(-1) ?? 0) + group.rows)
  const length = starts.at(-1) ?? 0
  /** Least recently used first. */
  const cache = new Map<number, Promise<Record<string, unknown>[]>>()

  const load = (group: number): Promise<Record<string, unknown>[]> => {
    const held = cache.get(group)
    cache.delete(group)
    const rows = held ?? parquetReadObjects({ file, metadata, rowStart: starts[group] ?? 0, rowEnd: starts[group + 1] ?? length })
    cache.set(group, rows)
    let bytes = 0
    for (const key of [...cache.keys()].reverse()) {
      bytes += groups[key]?.bytes ?? 0
      if (key !== group && bytes > CACHE_BYTES) cache.delete(key)
    }
    return rows
  }

  return {
    file: path,
    length,
    size,
    async row(index): Promise<Row> {
      const group = starts.findLastIndex(
        (start, g) => start <= index && g < groups.length && index < start + (groups[g]?.rows ?? 0),
      )
      let value: Record<string, unknown> | undefined
      try {
        value = (await load(group))[index - (starts[group] ?? 0)]
      } catch (cause) {
        cache.delete(group)
        throw new InvalidDataError(
          `${path}, row group ${group}: cannot be decoded (${messageOf(cause)}); write the file again.`,
          { cause },
        )
      }
      if (value === undefined) throw new RangeError(`row ${index} of ${length}`)
      const bytes = sizeOf(value)
      if (bytes > MAX_ROW_BYTES) throw tooLong(path, index + 1, bytes)
      return { value: plain(value) as Record<string, unknown>, file: path, line: index + 1 }
    },
  }
}

/** About as many bytes as a value takes as text. */
function sizeOf(value: unknown): number {
  if (typeof value === 'string') return value.length
  if (ArrayBuffer.isView(value)) return value.byteLength
  if (typeof value !== 'object' || value === null) return 8
  let sum = 0
  for (const entry of Array.isArray(value) ? (value as unknown[]) : Object.values(value)) sum += sizeOf(entry)
  return sum
}

const messageOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))

/** Parquet's 64-bit integers and typed arrays as JSON would have them; empty columns are left out, as absent in JSON. */
function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : value
  if (ArrayBuffer.isView(value)) return Array.from(value as unknown as ArrayLike<unknown>, plain)
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value === 'object' && value !== null && !(value instanceof Date)) {
    const entries = Object.entries(value).filter(([, entry]) => entry !== null && entry !== undefined)
    return Object.fromEntries(entries.map(([key, entry]) => [key, plain(entry)]))
  }
  return value
}
