/** @file A quantised base on disk: packed once, kept in the user's cache folder, mapped by every later run. */
import { bytesOf } from '../graph/constants.js'
import type { Graph } from '../graph/graph.js'
import {
  byteLength,
  bytesPerElement,
  elementCount,
  isFileTensor,
  type FileTensor,
  type HostTensor,
  type Initializer,
  type TypedArray,
} from '../graph/types.js'
import { FileError, InvalidModelError } from '../errors.js'
import { loadTensor, readSafetensorsHeader, safetensorsChunks, toFloat32, type LazyTensor } from '../formats/safetensors.js'
import type { Files } from '../io/files.js'
import type { Environment } from '../environment.js'
import {
  frozenMatrices,
  INT4_BLOCK,
  planQuantization,
  quantizeProducts,
  type BaseScheme,
  type FrozenMatrix,
  type MatrixSlice,
  type PackedMatrix,
} from '../quantize/index.js'
import type { Session, SessionOptions } from '../runtime/runtime.js'
import { ContentHash, fingerprintFile, fingerprintText } from '../util/fingerprint.js'

/** Folder beside the weights that holds what we derive from them, where there is no cache folder. */
const CACHE_FOLDER = '.lowrank'

/** Raised when codes or scales of a scheme are computed in another way: older files are then made again. */
const VERSION = '3'

/**
 * From this many bytes of frozen float32 matrices on, a session that runs batches reads them where they lie.
 *
 * The runtime otherwise keeps two copies of each, arranged for its kernel: one for the forward product, one for the
 * transposed one of the backward pass, and an evaluation beside the training keeps a third. Arranging a piece of the matrix
 * as the product goes costs a few hundredths of the time where a run has hundreds of rows.
 */
const LARGE_BASE = 256 * 2 ** 20

/** Whether a session that runs batches of this graph keeps copies of the weights arranged for products. */
export function packsWeights(graph: Graph, base: BaseScheme = 'fp32'): boolean {
  if (base !== 'fp32') return true
  let bytes = 0
  for (const { tensor } of frozenMatrices(graph, graph.outputs[0]!.name)) bytes += 4 * elementCount(tensor.shape)
  return bytes < LARGE_BASE
}

/** A session of a graph over a frozen model, with the base held as the environment says. */
export async function createModelSession(environment: Environment, graph: Graph, options: SessionOptions = {}): Promise<Session> {
  const { runtime, base = 'fp32' } = environment
  return runtime.createSession(await quantizeBase(graph, base, graph.outputs[0]!.name, environment), options)
}

/** Where packed weights are kept. */
type CacheOptions = Pick<Environment, 'files' | 'cacheFolder'>

const folderOf = (path: string): string => path.slice(0, Math.max(path.lastIndexOf('/'), path.lastIndexOf('\\')))

/**
 * The graph on a quantised base. The weights are packed on first use, one matrix in memory at a time, into a file of the
 * cache folder, and again when they or that file have changed; where it cannot be written, or the weights have no file,
 * they are packed into memory each time.
 *
 * @param loss output that the forward pass ends in
 */
export async function quantizeBase(graph: Graph, scheme: BaseScheme, loss: string, cache: CacheOptions): Promise<Graph> {
  if (scheme === 'fp32') return graph
  const plan = planQuantization(graph, scheme, loss)
  if (plan.length === 0)
    throw new InvalidModelError(
      `the model has no frozen matrix that can be held as ${scheme}${scheme === 'int4' ? ' (their inputs must be multiples of 32)' : ''}; use --base fp32`,
    )
  const stored = (await onDisk(plan, scheme, cache)) ?? (await inMemory(plan, cache.files))
  return quantizeProducts(graph, scheme, plan, (name) => stored.get(name)!)
}

/** Bytes of a matrix that are read at a time: packing a base of any size takes little more than its largest codes. */
const SLICE_BYTES = 16 * 2 ** 20

/** A frozen matrix as float32, some rows at a time. @throws InvalidModelError for a number that is not finite */
async function* slicesOf({ name, tensor }: FrozenMatrix, files: Files): AsyncGenerator<MatrixSlice> {
  const [rows, columns] = tensor.shape as [number, number]
  const rowBytes = columns * bytesPerElement[tensor.dtype as keyof typeof bytesPerElement]
  const step = Math.max(1, Math.floor(SLICE_BYTES / rowBytes / INT4_BLOCK)) * INT4_BLOCK
  for (let firstRow = 0; firstRow < rows; firstRow += step) {
    const shape = [Math.min(step, rows - firstRow), columns]
    const values = await readSlice(files, tensor, firstRow * columns, shape, rowBytes / columns)
    const bad = values.findIndex((value) => !Number.isFinite(value))
    if (bad >= 0)
      throw new InvalidModelError(
        `tensor "${name}", element ${firstRow * columns + bad} is ${values[bad]}: it cannot be quantised`,
      )
    yield { firstRow, values }
  }
}

/** @param first number of the first element, of `shape` elements that follow */
async function readSlice(
  files: Files,
  tensor: Initializer,
  first: number,
  shape: readonly number[],
  elementBytes: number,
): Promise<Float32Array> {
  const count = elementCount(shape)
  if (!isFileTensor(tensor))
    return toFloat32({ ...tensor, shape, data: tensor.data.subarray(first, first + count) as TypedArray })
  const { path, offset } = tensor.file
  const file = { path, offset: offset + first * elementBytes, length: count * elementBytes }
  return toFloat32(await loadTensor(files, { dtype: tensor.dtype, shape, file }))
}

async function packed(plan: PackedMatrix, files: Files): Promise<readonly { name: string; tensor: HostTensor }[]> {
  const packer = plan.packer()
  for (const pass of packer.passes) for await (const slice of slicesOf(plan.matrix, files)) pass(slice)
  const contents = packer.contents()
  return plan.specs.map(({ name, dtype, shape }, i) => ({ name, tensor: { dtype, shape, data: contents[i]! } }))
}

async function inMemory(plan: readonly PackedMatrix[], files: Files): Promise<Map<string, Initializer>> {
  const stored = new Map<string, Initializer>()
  for (const matrix of plan) for (const { name, tensor } of await packed(matrix, files)) stored.set(name, tensor)
  return stored
}

/** What a cache says of itself, in a file beside it: what it was made from, and the hash of what was written. */
interface CacheNote {
  readonly lowrank: string
  /** Of each matrix the file that it came from, by content, and its place there. */
  readonly matrices: Readonly<Record<string, string>>
  readonly content: string
}

/** Roots of Windows' drives: the runtime maps files below one folder alone. */
const driveOf = (path: string): string => /^[a-z]:/i.exec(path)?.[0].toLowerCase() ?? ''

/**
 * Where the packed tensors of weights lie: in the user's cache folder, for a model's own folder may be shared; beside the
 * weights in a page, whose files are its own.
 */
async function cachePath(weights: string, scheme: BaseScheme, { files, cacheFolder }: CacheOptions): Promise<string> {
  const source = await files.realPath(weights)
  if (cacheFolder === undefined || driveOf(await files.realPath(cacheFolder)) !== driveOf(source))
    return `${folderOf(weights)}/${CACHE_FOLDER}/${scheme}.safetensors`
  const name = folderOf(source)
    .split(/[\\/]/)
    .at(-1)!
    .replace(/[^\w.-]/g, '_')
    .slice(0, 40)
  return `${cacheFolder}/bases/${name}-${fingerprintText(source).slice(0, 16)}/${scheme}.safetensors`
}

/** What each matrix of a plan is packed from; undefined if one has no file. */
async function sourcesOf(
  plan: readonly PackedMatrix[],
  { files, cacheFolder }: CacheOptions,
): Promise<{ readonly first: string; readonly matrices: Record<string, string> } | undefined> {
  const prints = new Map<string, string>()
  const matrices: Record<string, string> = {}
  for (const { matrix } of plan) {
    const { name, tensor } = matrix
    if (!isFileTensor(tensor)) return undefined
    const { path, offset, length } = tensor.file
    if (!prints.has(path)) prints.set(path, await fingerprintFile(files, path, cacheFolder))
    matrices[name] = `${prints.get(path)} ${offset}+${length} ${tensor.dtype}[${tensor.shape.join(',')}]`
  }
  return { first: [...prints.keys()].sort()[0]!, matrices }
}

/** The packed tensors in the cache; undefined where there can be none. */
async function onDisk(
  plan: readonly PackedMatrix[],
  scheme: BaseScheme,
  options: CacheOptions,
): Promise<Map<string, Initializer> | undefined> {
  const { files } = options
  const sources = await sourcesOf(plan, options)
  if (sources === undefined) return undefined
  const cache = await cachePath(sources.first, scheme, options)
  const known = await readCache(cache, sources.matrices, plan, options)
  if (known !== undefined) return known
  let content: string
  try {
    const hash = new ContentHash()
    let size = 0
    const chunks = async function* (): AsyncGenerator<Uint8Array> {
      for await (const chunk of safetensorsChunks(lazyTensors(plan, files))) {
        hash.update(chunk)
        size += chunk.length
        yield chunk
      }
    }
    await files.write(cache, chunks())
    content = `${size}:${hash.digest()}`
    const note: CacheNote = { lowrank: VERSION, matrices: sources.matrices, content }
    await files.write(noteOf(cache), `${JSON.stringify(note)}\n`)
  } catch (error) {
    // A folder that cannot be written (a full disk, a user without a home) is no reason not to train.
    if (error instanceof FileError) return undefined
    throw error
  }
  return readCache(cache, sources.matrices, plan, options, content)
}

const noteOf = (cache: string): string => cache.replace(/\.safetensors$/, '.json')

/**
 * The tensors of a cache that is whole, was made from these weights and has all that the plan asks for.
 * @param content fingerprint of the file where it is known, as it was just written: it is not read through for it
 */
async function readCache(
  path: string,
  matrices: Readonly<Record<string, string>>,
  plan: readonly PackedMatrix[],
  { files, cacheFolder }: CacheOptions,
  content?: string,
): Promise<Map<string, FileTensor> | undefined> {
  try {
    if (!(await files.exists(path)) || !(await files.exists(noteOf(path)))) return undefined
    const note = JSON.parse(await files.readText(noteOf(path))) as CacheNote
    if (note.lowrank !== VERSION || Object.entries(matrices).some(([name, source]) => note.matrices[name] !== source))
      return undefined
    if ((content ?? (await fingerprintFile(files, path, cacheFolder))) !== note.content) return undefined
    const { tensors } = await readSafetensorsHeader(files, path)
    const stored = new Map<string, FileTensor>()
    for (const { name, dtype, shape } of plan.flatMap(({ specs }) => specs)) {
      const bytes = tensors.get(name)
      if (bytes?.file.length !== byteLength({ dtype, shape })) return undefined
      stored.set(name, { ...bytes, dtype, shape })
    }
    return stored
  } catch (error) {
    // A cache that is damaged, or another user's, is made again: the weights themselves are untouched.
    if ([InvalidModelError, FileError, SyntaxError, TypeError].some((kind) => error instanceof kind)) return undefined
    throw error
  }
}

/**
 * All packed tensors as bytes: of one element type, so that the file keeps the tensors of a matrix together and each
 * matrix is read and packed once. The plan knows their types.
 */
function lazyTensors(plan: readonly PackedMatrix[], files: Files): LazyTensor[] {
  let current: { matrix: PackedMatrix; tensors: ReturnType<typeof packed> } | undefined
  return plan.flatMap((matrix) =>
    matrix.specs.map((spec, i) => ({
      name: spec.name,
      dtype: 'uint8' as const,
      shape: [byteLength(spec)],
      load: async () => {
        if (current?.matrix !== matrix) current = { matrix, tensors: packed(matrix, files) }
        return bytesOf((await current.tensors)[i]!.tensor)
      },
    })),
  )
}
