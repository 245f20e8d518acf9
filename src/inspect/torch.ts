/** @file What torch files and adapters in other formats than PEFT's hold. Nothing is executed. */
import { adapterFormats } from '../formats/adapter-formats.js'
import { splitAdapter } from '../formats/adapter-file.js'
import { namedTensors, openTorch } from '../formats/torch/index.js'
import { elementCount } from '../graph/types.js'
import type { Environment } from '../environment.js'
import type { AdapterFileInspection, FileInspection } from './inspection.js'

/** Formats that `inspect` describes otherwise. */
const PEFT = new Set(['peft', 'peft-bin'])

const last = (shape: readonly number[], axis: number): number => shape[axis] ?? 1

/** Describes an adapter of another format than PEFT's; undefined if the path holds none. */
export async function inspectAdapterFile(path: string, { files }: Environment): Promise<AdapterFileInspection | undefined> {
  for (const format of adapterFormats) {
    if (PEFT.has(format.name) || !(await format.holds(files, path))) continue
    // loralib's files tell no alpha; any value serves for reading the shapes.
    const tellsAlpha = format.name !== 'loralib'
    const { config, tensors, notes } = await format.read(files, path, tellsAlpha ? {} : { alpha: 1, anyPlace: true })
    const { pairs } = splitAdapter({ config, tensors, notes })
    return {
      kind: 'adapter-file',
      path,
      format: format.name,
      baseModel: config.baseModelNameOrPath,
      r: config.r,
      alpha: tellsAlpha ? config.loraAlpha : null,
      targetModules: config.targetModules as readonly string[],
      modulesToSave: config.modulesToSave,
      bias: config.bias,
      parameters: [...tensors.values()].reduce((sum, { shape }) => sum + elementCount(shape), 0),
      bytes: await bytesOfPath(path, { files }),
      tensors: tensors.size,
      modules: pairs.map(({ module, r, A, B }) => ({
        name: module,
        r,
        inFeatures: last(A.shape, 1),
        outFeatures: last(B.shape, 0),
        parameters: elementCount(A.shape) + elementCount(B.shape),
      })),
      notes: notes.map(({ text }) => text),
    }
  }
  return undefined
}

/** Size of a file, or of the files of a folder. */
async function bytesOfPath(path: string, { files }: Pick<Environment, 'files'>): Promise<number> {
  if (!(await files.isDirectory(path))) return files.size(path)
  let total = 0
  for (const name of await files.list(path))
    if (!(await files.isDirectory(`${path}/${name}`))) total += await files.size(`${path}/${name}`)
  return total
}

/** Describes a file of `torch.save` that holds no adapter. @throws InvalidModelError if it is damaged or asks for code */
export async function inspectTorch(path: string, { files }: Environment): Promise<FileInspection> {
  const file = await openTorch(files, path)
  const { tensors, wrapper, ignored } = namedTensors(file)
  return {
    kind: 'torch',
    path,
    parameters: [...tensors.values()].reduce((sum, { shape }) => sum + elementCount(shape), 0),
    bytes: file.bytes,
    tensors: tensors.size,
    metadata: {
      container: file.container === 'zip' ? 'zip archive' : 'stream of pickles (before PyTorch 1.6)',
      ...(wrapper !== undefined && { 'read from': wrapper, beside: ignored.join(', ') }),
    },
    modules: [...tensors]
      .filter(([name, { shape }]) => name.endsWith('.weight') && shape.length >= 2)
      .map(([name, { shape }]) => ({
        name: name.slice(0, -'.weight'.length),
        kind: shape.length === 2 ? 'matrix' : 'kernel',
        shape,
        parameters: elementCount(shape),
      })),
  }
}
