/** @file An .onnx file with other weights: the graph as it was read, external data copied with the changes in it. */
import { InvalidModelError, InvalidOptionError } from '../errors.js'
import { checkOutput, prepareOutput, writeSmallFiles } from '../formats/merge-folder.js'
import { bytesOf } from '../graph/constants.js'
import { isFileTensor, type FileTensor } from '../graph/types.js'
import type { Files } from '../io/files.js'
import { whileFileLocked, whileLocked } from '../io/folder-lock.js'
import { mergeConstant } from '../merge/constants.js'
import type { Deltas } from '../merge/plan.js'
import { encodeModel } from '../onnx/encode.js'
import type { Environment } from '../environment.js'
import { refuseFiles } from '../model/output-place.js'
import { planPatches, replaceStored, separateEqual, untie, type Patch, type PatchedModel } from './patch.js'
import { externalTensors } from './places.js'
import { readConfigBeside, readOnnx } from './read.js'
import { baseName, contains, folderOf } from '../io/places.js'
import { isOnnxFolder } from '../model/onnx-folders.js'

export interface WrittenOnnx {
  /** The .onnx file. */
  readonly path: string
  readonly maxAbsDelta: number
}

/** Most bytes of external data that are held at a time. */
const CHUNK = 16 << 20
/** A protocol buffer cannot be larger. */
const LARGEST_PROTO = 2 ** 31 - 1

/** Where everything goes. */
interface Target {
  readonly file: string
  readonly folder: string
  /** The folder that was asked for, where it was one. */
  readonly out: string | undefined
  /** Where config and tokenizer are copied from, into a folder that was asked for. */
  readonly described: string | undefined
  /** Whether the caller holds the folder, and has seen to what lies in it. */
  readonly isHeld: boolean
}

/** A folder for the model and what describes it. */
async function folderTarget(files: Files, model: PatchedModel, out: string, isHeld: boolean): Promise<Target> {
  const described = (await readConfigBeside(files, model.path))?.folder
  const own = folderOf(model.path)
  const folder = described !== undefined && described !== own && isOnnxFolder(own) ? `${out}/onnx` : out
  return { file: `${folder}/${baseName(model.path)}`, folder, out, described, isHeld }
}

async function targetOf(files: Files, model: PatchedModel, out: string, overwrite: boolean): Promise<Target> {
  if (out.endsWith('.onnx')) {
    if ((await files.realPath(out)) === (await files.realPath(model.path)))
      throw new InvalidOptionError(`"${out}" is the source model itself; merging never changes the source, choose another name`)
    return { file: out, folder: folderOf(out), out: undefined, described: undefined, isHeld: false }
  }
  if ((await files.exists(out)) && !(await files.isDirectory(out)))
    throw new InvalidOptionError(`"${out}" is a file; choose a folder, or a name that ends in .onnx`)
  if (contains(await files.realPath(out), await files.realPath(model.path)))
    throw new InvalidOptionError(
      `"${out}" is the source model's own folder; merging never changes the source, choose another folder`,
    )
  await checkOutput(files, out, overwrite)
  return folderTarget(files, model, out, false)
}

/**
 * Writes a model with changed weights, and what describes it, into a folder that the caller holds: of a run, or a checkpoint.
 * @throws InvalidAdapterError as {@link writeOnnx} does
 */
export async function writeOnnxInto(
  model: PatchedModel & { readonly environment: Environment },
  folder: string,
  deltas: Deltas,
): Promise<void> {
  await writeTo(model, await folderTarget(model.environment.files, model, folder, true), deltas, new Map(), true)
}

/**
 * Writes a model with changed weights to a file, or to a new folder with what describes it.
 *
 * The graph, its notes and its unknown fields are those that were read. A weight keeps its place and element type; one
 * that other layers share gets a copy for the layer that changes. External data is copied in pieces.
 * @throws InvalidAdapterError for weights that cannot be changed exactly (quantised, computed)
 * @param overwrite whether a file of that name, and its data, may be replaced, or what an earlier merge wrote into the folder
 * @throws InvalidOptionError if the target is the source, or holds something
 */
export async function writeOnnx(
  model: PatchedModel & { readonly environment: Environment },
  out: string,
  deltas: Deltas,
  more: ReadonlyMap<string, Uint8Array> = new Map(),
  overwrite = false,
): Promise<WrittenOnnx> {
  const { files } = model.environment
  const write = async (): Promise<WrittenOnnx> =>
    writeTo(model, await targetOf(files, model, out, overwrite), deltas, more, overwrite)
  return out.endsWith('.onnx') ? whileFileLocked(files, out, write) : whileLocked(files, out, write)
}

async function writeTo(
  model: PatchedModel & { readonly environment: Environment },
  target: Target,
  deltas: Deltas,
  more: ReadonlyMap<string, Uint8Array>,
  overwrite: boolean,
): Promise<WrittenOnnx> {
  const { files } = model.environment
  const graph = (await readOnnx(files, model.path)).clone()
  separateEqual(graph, model, deltas.keys())
  const patches = planPatches(graph, model, deltas)
  const external = externalTensors(graph)
  const dataPaths = [...new Set(external.map(({ file }) => file.path))]
  const prefix =
    (await files.realPath(target.folder)) === (await files.realPath(folderOf(model.path))) ? `${baseName(target.file)}_` : ''
  const locate = (path: string): string => relocated(path, folderOf(model.path), prefix)
  // The data of another model may lie there under the same name.
  const dataFiles = dataPaths.map((path) => `${target.folder}/${locate(path)}`)
  if (target.out === undefined && !overwrite) await refuseFiles(files, [target.file, ...dataFiles])
  let maxAbsDelta = 0
  const tensorOf = async (patch: Patch) => {
    const result = await mergeConstant(files, patch)
    maxAbsDelta = Math.max(maxAbsDelta, result.maxAbsDelta)
    return result.tensor
  }
  const inFiles = new Map<string, Patch[]>()
  // First those that are to be read as they are; a weight of its own is made from the unchanged one.
  for (const patch of patches.filter(({ only }) => only !== undefined)) untie(graph, model, patch, await tensorOf(patch))
  for (const patch of patches.filter(({ only }) => only === undefined)) {
    const { tensor } = patch.constant
    if (patch.constant.place === undefined && isFileTensor(tensor) && !overlaps(tensor, external))
      inFiles.set(tensor.file.path, [...(inFiles.get(tensor.file.path) ?? []), patch])
    else replaceStored(graph, patch.constant, await tensorOf(patch))
  }
  const bytes = encodeModel(graph, locate)
  if (bytes.length > LARGEST_PROTO)
    throw new InvalidModelError(
      `the merged model would take ${bytes.length} bytes in one file; a weight that layers share became two: save the source with external data`,
    )
  const { out, described, isHeld } = target
  if (out !== undefined && !isHeld) {
    const top = [target.file, ...dataFiles].map((path) => path.slice(out.length + 1).split('/')[0]!)
    await prepareOutput(files, described, { out, overwrite }, top, described === undefined ? new Map() : more)
  }
  await files.makeFolder(target.folder)
  for (const path of dataPaths) {
    const changes = inFiles.get(path) ?? []
    await files.write(`${target.folder}/${locate(path)}`, patchedFile(files, path, changes, tensorOf))
  }
  if (out !== undefined && described !== undefined) await writeSmallFiles(files, described, out, more)
  // Behind its data, so that a model has it; and config.json behind all, by which a folder is known to be finished.
  await files.write(target.file, bytes)
  if (out !== undefined && described !== undefined)
    await files.write(`${out}/config.json`, await files.read(`${described}/config.json`))
  return { path: target.file, maxAbsDelta }
}

/** The path of a data file beside the new model: as before, under another name where the folder is the same. */
function relocated(path: string, folder: string, prefix: string): string {
  const relative = path.startsWith(`${folder}/`) ? path.slice(folder.length + 1) : path
  if (prefix === '') return relative
  const slash = relative.lastIndexOf('/') + 1
  return relative.slice(0, slash) + prefix + relative.slice(slash)
}

/** Whether other tensors lie in the same bytes: then a change would be theirs too. */
const overlaps = ({ file }: FileTensor, all: readonly FileTensor[]): boolean =>
  all.filter(
    (other) =>
      other.file.path === file.path &&
      other.file.offset < file.offset + file.length &&
      file.offset < other.file.offset + other.file.length,
  ).length > 1

/** The bytes of a data file with the changed weights in their places. */
async function* patchedFile(
  files: Files,
  path: string,
  patches: readonly Patch[],
  tensorOf: (patch: Patch) => Promise<Parameters<typeof bytesOf>[0]>,
): AsyncIterable<Uint8Array> {
  const placeOf = ({ constant }: Patch): FileTensor['file'] => (constant.tensor as FileTensor).file
  const ordered = [...patches].sort((a, b) => placeOf(a).offset - placeOf(b).offset)
  const size = await files.size(path)
  let at = 0
  const upTo = async function* (end: number): AsyncIterable<Uint8Array> {
    while (at < end) {
      const length = Math.min(CHUNK, end - at)
      yield await files.read(path, { offset: at, length })
      at += length
    }
  }
  for (const patch of ordered) {
    const { offset, length } = placeOf(patch)
    yield* upTo(offset)
    yield bytesOf(await tensorOf(patch))
    at = offset + length
  }
  yield* upTo(size)
}
