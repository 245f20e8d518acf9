/** @file Opening the model and the adapter that a command names, with what people want to see meanwhile. */
import type * as Library from '../index.js'
import type { Adapter, HubOptions, Model, TaskOption } from '../index.js'
import type { InputConstants } from '../lower/input-constants.js'
import type { BaseScheme } from '../quantize/index.js'
import type { Device } from '../runtime/runtime.js'
import { defined, type Output } from './flags.js'
import { bar, megabytes } from './format.js'

/** The library, loaded when a command needs it: help and usage errors come without the native runtime. */
export const library = (): Promise<typeof Library> => import('../index.js')

/** The flags by which commands name what they work on. */
export interface SourceFlags {
  readonly model: string
  readonly device: string
  readonly threads: number | undefined
  /** Of the commands that run the model. */
  readonly base?: string | undefined
  /** Of an .onnx file. */
  readonly task?: string | undefined
  readonly output?: string | undefined
  readonly constants?: InputConstants | undefined
}

/** Shows downloads and warnings of the hub. */
export const hubOptions = (output: Output): HubOptions => ({
  onWarning: (message) => output.note(output.color.yellow(`warning: ${message}`)),
  onProgress: ({ repository, file, received, size }) =>
    output.status(
      received === size
        ? undefined
        : `${repository} ${file} ${bar(received / size)} ${megabytes(received)} of ${megabytes(size)}`,
    ),
})

export async function openModel(
  { model, device, threads, base, task, output: read, constants }: SourceFlags,
  output: Output,
): Promise<Model> {
  const { loadModel } = await library()
  return loadModel(model, {
    ...hubOptions(output),
    device: device as Device,
    ...defined({ threads, base: base as BaseScheme | undefined, task: task as TaskOption | undefined, output: read, constants }),
  })
}

export async function openAdapter(model: Model, adapter: string, output: Output): Promise<Adapter> {
  const { loadAdapter } = await library()
  return loadAdapter(model, adapter, hubOptions(output))
}

/** The model, or the adapter on it if one is named. */
export async function openSubject(
  flags: SourceFlags & { readonly adapter: string | undefined },
  output: Output,
): Promise<Model | Adapter> {
  const model = await openModel(flags, output)
  return flags.adapter === undefined ? model : openAdapter(model, flags.adapter, output)
}
