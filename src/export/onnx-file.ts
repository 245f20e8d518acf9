/** @file A graph as an `.onnx` file with its weights beside it, written as a stream that never holds all of them. */
import { bytesOf, fromBytes } from '../graph/constants.js'
import type { Graph } from '../graph/graph.js'
import { byteLength, isFileTensor, type DType, type Initializer } from '../graph/types.js'
import { InvalidModelError } from '../errors.js'
import type { Files } from '../io/files.js'
import { baseName } from '../io/places.js'
import { encodeModel } from '../onnx/encode.js'

/** Bytes of a weight that are computed when their turn comes: merged, or of another element type. */
export interface TensorSource {
  readonly dtype: DType
  readonly shape: readonly number[]
  /** All bytes in order, little-endian, row-major. Called once. */
  chunks(): AsyncIterable<Uint8Array>
}

/** How the bytes of a model are divided into files. */
export interface OnnxFileSizes {
  /** Weights of more bytes than this together go to files of their own; 4 MiB by default. */
  readonly inlineUpTo?: number
  /** Most bytes of such a file, unless one tensor alone is larger; just under 2 GB by default, which browsers can hold. */
  readonly dataFileSize?: number
}

export interface OnnxFileOptions extends OnnxFileSizes {
  /** Weights of the graph that are not written as they lie, by name. */
  readonly sources?: ReadonlyMap<string, TensorSource>
}

export interface OnnxFile {
  /** The model and its data files, by their names in the folder. */
  readonly files: readonly string[]
  /** Number of data files: `model.onnx_data`, `model.onnx_data_1`, … */
  readonly dataFiles: number
  readonly bytes: number
}

const INLINE_UP_TO = 4 << 20
const DATA_FILE_SIZE = 2_000_000_000
/** Tensors of fewer bytes stay in the model: scalars, shapes, axes. */
const SMALLEST_OUTSIDE = 1024
/** What is read or written at a time. */
const CHUNK = 16 << 20
/** Large tensors begin on a page, so that a runtime can map them. */
const PAGE = 4096
const LINE = 64

/** Ranges of a file, `size` bytes at a time. */
export async function* fileChunks(
  files: Files,
  { path, offset, length }: { readonly path: string; readonly offset: number; readonly length: number },
  size = CHUNK,
): AsyncIterable<Uint8Array> {
  for (let at = 0; at < length; at += size)
    yield await files.read(path, { offset: offset + at, length: Math.min(size, length - at) })
}

/** A tensor as it lies, in memory or in its file. */
function sourceOf(files: Files, tensor: Initializer): TensorSource {
  const { dtype, shape } = tensor
  return {
    dtype,
    shape,
    async *chunks() {
      if (isFileTensor(tensor)) yield* fileChunks(files, tensor.file)
      else yield bytesOf(tensor)
    },
  }
}

interface Placed {
  readonly source: TensorSource
  readonly file: { readonly path: string; readonly offset: number; readonly length: number }
}

/**
 * Writes a graph: weights first, the model last, so that a folder with a model has its weights. Whatever tensors the graph
 * points to in other files is copied, those in attributes of nodes included.
 *
 * @param path of the model; its data files are called as it is with `_data`, `_data_1`, … behind
 * @throws InvalidModelError if a source gives other bytes than its shape says
 */
export async function writeOnnxFile(files: Files, graph: Graph, path: string, options: OnnxFileOptions = {}): Promise<OnnxFile> {
  const { sources = new Map<string, TensorSource>(), inlineUpTo = INLINE_UP_TO, dataFileSize = DATA_FILE_SIZE } = options
  const name = baseName(path)
  const result = graph.clone()
  const pending = new Map<string, TensorSource>()
  for (const [key, tensor] of graph.initializers) {
    const source = sources.get(key) ?? (isFileTensor(tensor) ? sourceOf(files, tensor) : undefined)
    if (source !== undefined || (tensor.dtype !== 'string' && byteLength(tensor) >= SMALLEST_OUTSIDE))
      pending.set(key, source ?? sourceOf(files, tensor))
  }
  const total = [...pending.values()].reduce((sum, source) => sum + byteLength(source), 0)
  const isOutside = total > inlineUpTo
  const places: Placed[] = []
  const place = (source: TensorSource): Initializer => {
    const { dtype, shape } = source
    const length = byteLength(source)
    const before = places.at(-1)?.file
    const to = length >= 1 << 16 ? PAGE : LINE
    const start = before === undefined ? 0 : Math.ceil((before.offset + before.length) / to) * to
    const isFull = before !== undefined && start + length > dataFileSize
    const number = new Set(places.map(({ file }) => file.path)).size - (isFull || before === undefined ? 0 : 1)
    const file = { path: `${name}_data${number === 0 ? '' : `_${number}`}`, offset: isFull ? 0 : start, length }
    places.push({ source, file })
    return { dtype, shape, file }
  }
  for (const [key, source] of pending) {
    const isSmall = byteLength(source) < SMALLEST_OUTSIDE
    result.initializers.set(key, isOutside && !isSmall ? place(source) : await inMemory(source, key))
  }
  result.nodes = graph.nodes.map((node) => {
    const inFiles = Object.entries(node.attributes).filter(([, a]) => a.type === 'tensor' && isFileTensor(a.value))
    if (inFiles.length === 0) return node
    const moved = inFiles.map(([key, a]) => [
      key,
      { type: 'tensor' as const, value: place(sourceOf(files, a.value as Initializer)) },
    ])
    return { ...node, attributes: { ...node.attributes, ...(Object.fromEntries(moved) as typeof node.attributes) } }
  })
  const folder = path.slice(0, path.length - name.length)
  const names = [...new Set(places.map(({ file }) => file.path))]
  for (const data of names) await files.write(`${folder}${data}`, dataChunks(places.filter(({ file }) => file.path === data)))
  const model = encodeModel(result, (location) => location, { outputShapes: true })
  await files.write(path, model)
  const bytes = places.reduce((sum, { file }) => sum + file.length, model.length)
  return { files: [name, ...names], dataFiles: names.length, bytes }
}

async function inMemory(source: TensorSource, name: string): Promise<Initializer> {
  const bytes = new Uint8Array(byteLength(source))
  let at = 0
  for await (const chunk of source.chunks()) {
    if (at + chunk.length <= bytes.length) bytes.set(chunk, at)
    at += chunk.length
  }
  checkLength(at, bytes.length, name)
  return fromBytes(source.dtype, source.shape, bytes)
}

/** The tensors of one data file, with zeros between them. */
async function* dataChunks(places: readonly Placed[]): AsyncIterable<Uint8Array> {
  let at = 0
  for (const { source, file } of places) {
    if (file.offset > at) yield new Uint8Array(file.offset - at)
    at = file.offset
    for await (const chunk of source.chunks()) {
      at += chunk.length
      yield chunk
    }
    checkLength(at - file.offset, file.length, file.path)
  }
}

function checkLength(found: number, expected: number, name: string): void {
  if (found !== expected) throw new InvalidModelError(`"${name}": a tensor of ${expected} bytes gave ${found}`)
}
