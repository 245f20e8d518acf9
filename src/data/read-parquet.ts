/** @file Parquet, a row group at a time. */
import {
  parquetMetadataAsync,
  parquetReadObjects,
  parquetSchema,
  type AsyncBuffer,
  type Compressors,
  type FileMetaData,
  type SchemaTree,
} from 'hyparquet'
import { InvalidDataError, messageOf } from '../errors.js'
import { holdsObjects, keepFloats } from '../util/exact-json.js'
import { MAX_ROW_BYTES, tooLong } from './record-file.js'
import type { RowFile } from './row-file.js'
import type { Row, RowSource } from './rows.js'

/** Decoded row groups kept at once, in bytes before compression; at least the last one stays. */
const CACHE_BYTES = 256 << 20
/** A row group is decoded as a whole. */
const MAX_GROUP_BYTES = 2 ** 31
/** Codecs that the reader decodes by itself, and those for which `hyparquet-compressors` is loaded. */
const OWN_CODECS: readonly string[] = ['UNCOMPRESSED', 'SNAPPY']
const MORE_CODECS: readonly string[] = ['ZSTD', 'GZIP', 'BROTLI', 'LZ4', 'LZ4_RAW']

async function decompressorsFor(codecs: ReadonlySet<string>): Promise<{ compressors?: Compressors }> {
  if (!MORE_CODECS.some((codec) => codecs.has(codec))) return {}
  const { compressors } = await import('hyparquet-compressors')
  return { compressors }
}

/**
 * Opens a Parquet file. Rows are decoded by row group and the last groups are kept, so a shuffled file larger than
 * 256 MiB decodes groups again and again: write it with small row groups, or as JSON lines.
 * @param maxRowBytes a row that is longer is refused by its line
 * @throws InvalidDataError if the file is damaged or compressed in a way that is not known
 */
export async function openParquet(source: RowFile, maxRowBytes = MAX_ROW_BYTES): Promise<RowSource> {
  const { name: path, size } = source
  const file: AsyncBuffer = {
    byteLength: size,
    async slice(start, end = size) {
      const offset = start < 0 ? Math.max(0, size + start) : start
      const bytes = await source.read(offset, Math.min(end, size) - offset)
      return bytes.slice().buffer
    },
  }
  let metadata: FileMetaData
  try {
    metadata = await parquetMetadataAsync(file)
  } catch (cause) {
    throw new InvalidDataError(`${path}: not a Parquet file, or damaged (${messageOf(cause)}); write it again.`, { cause })
  }
  const codecs = new Set(metadata.row_groups.flatMap((group) => group.columns.flatMap(({ meta_data }) => meta_data?.codec ?? [])))
  const known = [...OWN_CODECS, ...MORE_CODECS]
  const codec = [...codecs].find((name) => !known.includes(name))
  if (codec !== undefined)
    throw new InvalidDataError(
      `${path}: compressed with ${codec}; expected one of ${known.join(', ')}. Write the file again with zstd or snappy compression.`,
    )
  const decompressors = await decompressorsFor(codecs)

  const large = metadata.row_groups.findIndex((group) => Number(group.total_byte_size) > MAX_GROUP_BYTES)
  if (large >= 0)
    throw new InvalidDataError(
      `${path}, row group ${large}: it holds ${Number(metadata.row_groups[large]!.total_byte_size)} bytes, and ${MAX_GROUP_BYTES} are the most that is decoded at once; write the file with smaller row groups.`,
    )

  const schema = parquetSchema(metadata)
  const groups = metadata.row_groups.map((group) => ({ rows: Number(group.num_rows), bytes: Number(group.total_byte_size) }))
  const starts: number[] = [0]
  for (const group of groups) starts.push((starts.at(-1) ?? 0) + group.rows)
  const length = starts.at(-1) ?? 0
  /** Least recently used first. */
  const cache = new Map<number, Promise<Record<string, unknown>[]>>()

  const load = (group: number): Promise<Record<string, unknown>[]> => {
    const held = cache.get(group)
    cache.delete(group)
    const rows =
      held ??
      parquetReadObjects({ file, metadata, ...decompressors, rowStart: starts[group] ?? 0, rowEnd: starts[group + 1] ?? length })
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
    fingerprint: (cacheFolder) => source.fingerprint(cacheFolder),
    place: (index) => ({ line: index + 1 }),
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
      if (bytes > maxRowBytes) throw tooLong(path, index + 1, bytes, maxRowBytes)
      // Only what holds objects reaches a chat template, which tells 1.0 from 1.
      const types = holdsObjects(value) ? schema : undefined
      return { value: plain(value, types) as Record<string, unknown>, file: path, line: index + 1 }
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

/**
 * Parquet's 64-bit integers and typed arrays as JSON would have them; empty columns are left out, as absent in JSON. What
 * its schema calls a float stays one where it is whole; without a schema none does.
 */
function plain(value: unknown, schema: SchemaTree | undefined): unknown {
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : value
  if (ArrayBuffer.isView(value) || Array.isArray(value)) {
    const item = itemOf(schema)
    const items = Array.from(value as unknown as ArrayLike<unknown>, (entry) => plain(entry, item))
    return isFloat(item) ? keepFloats(items, items.flatMap(whole)) : items
  }
  if (typeof value === 'object' && value !== null && !(value instanceof Date)) {
    const fieldOf = fieldsOf(schema)
    const entries = Object.entries(value)
      .filter(([, entry]) => entry !== null && entry !== undefined)
      .map(([key, entry]) => [key, plain(entry, fieldOf(key))] as const)
    const floats = entries.filter(([key]) => isFloat(fieldOf(key)))
    return keepFloats(
      Object.fromEntries(entries),
      floats.flatMap(([key, entry]) => whole(entry, key)),
    )
  }
  return value
}

/** The schema of a list's items: lists are written with two groups around an item, with one, or with none. */
function itemOf(schema: SchemaTree | undefined): SchemaTree | undefined {
  if (schema?.element.converted_type !== 'LIST' && schema?.element.logical_type?.type !== 'LIST') return schema
  const repeated = schema.children[0]
  return repeated?.children.length === 1 ? repeated.children[0] : repeated
}

/** The schema of what an object has at a key; that of a map is one for all keys. */
function fieldsOf(schema: SchemaTree | undefined): (key: string) => SchemaTree | undefined {
  const isMap = schema?.element.converted_type === 'MAP' || schema?.element.logical_type?.type === 'MAP'
  if (isMap) return () => schema.children[0]?.children.find(({ element }) => element.name === 'value')
  const fields = new Map(schema?.children.map((child) => [child.element.name, child]))
  return (key) => fields.get(key)
}

const whole = <K>(entry: unknown, key: K): (readonly [K, number])[] =>
  typeof entry === 'number' && Number.isInteger(entry) ? [[key, entry]] : []

const isFloat = (schema: SchemaTree | undefined): boolean =>
  schema !== undefined &&
  (['FLOAT', 'DOUBLE'].includes(schema.element.type ?? '') || schema.element.logical_type?.type === 'FLOAT16')
