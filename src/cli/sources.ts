/** @file Opening the model and the adapter that a command names, with what people want to see meanwhile. */
import type * as Library from '../index.js'
import type { Adapter, HeadOptions, HubOptions, Model, ProblemType, TaskOption } from '../index.js'
import type { InputConstants } from '../lower/input-constants.js'
import type { BaseScheme } from '../quantize/index.js'
import type { Device } from '../runtime/runtime.js'
import { readingOptions } from '../train/option-table.js'
import { defined, type Output, type Values } from './flags.js'
import { bar, megabytes } from './format.js'
import { optionsFrom, type FlagsFrom, type OptionsFrom } from './option-flags.js'
import { UsageError } from './usage-error.js'

/** The library, loaded when a command needs it: help and usage errors come without the native runtime. */
export const library = (): Promise<typeof Library> => import('../index.js')

/** The flags by which commands name what they work on. */
export interface SourceFlags {
  readonly model: string
  readonly device: string
  readonly threads: number | undefined
  /** Of the commands that run the model. */
  readonly base?: string | undefined
  readonly task?: string | undefined
  readonly objective?: string | undefined
  readonly labels?: readonly string[] | undefined
  readonly 'num-labels'?: number | undefined
  readonly 'new-head'?: boolean | undefined
  readonly 'problem-type'?: string | undefined
  readonly seed?: number | undefined
  /** Of an .onnx file. */
  readonly output?: string | undefined
  readonly constants?: InputConstants | undefined
  readonly dims?: Readonly<Record<string, number>> | undefined
}

/** The flags that say how rows are read of files. */
export type ReadingFlags = Pick<Values<FlagsFrom<typeof readingOptions>>, 'columns' | 'no-header'>

/** How rows are read, as flags say it. */
export const readingOf = (flags: ReadingFlags): OptionsFrom<typeof readingOptions> => optionsFrom(readingOptions, flags)

/** @throws UsageError for a flag about rows where there are none */
export function checkNoReading(flags: ReadingFlags): void {
  if (flags.columns !== undefined) throw new UsageError('--columns is for rows of --data.')
  if (flags['no-header']) throw new UsageError('--no-header is for rows of --data.')
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

/** `--labels auto` of `train`: read from the data. */
export const isAuto = ({ labels }: Pick<SourceFlags, 'labels'>): boolean => labels?.length === 1 && labels[0] === 'auto'

/** The task that the flags ask for: said, or told by an objective that is of one head alone. */
export const taskOf = ({ task, objective }: Pick<SourceFlags, 'task' | 'objective'>): TaskOption | undefined =>
  (task as TaskOption | undefined) ?? (objective === 'mlm' ? 'masked-lm' : undefined)

/** The head that the flags ask for. */
function headOptions(flags: SourceFlags): Partial<HeadOptions> {
  if (isAuto(flags))
    throw new UsageError(
      '--labels auto is for lowrank train: a model and an adapter know their labels. Leave --labels out, or name them.',
    )
  const asked = defined({
    task: taskOf(flags),
    labels: flags.labels,
    numLabels: flags['num-labels'],
    newHead: flags['new-head'] === true ? true : undefined,
  })
  if (Object.keys(asked).length === 0) return {}
  // Of an .onnx file it is the objective's option alone.
  const problemType = flags.model.endsWith('.onnx') ? undefined : (flags['problem-type'] as ProblemType | undefined)
  return { ...asked, ...defined({ problemType, seed: flags.seed }) }
}

/** A folder's model with the labels that the data has, where a fresh head is asked for and nothing says its labels. */
export async function withLabelsOf(
  model: Model,
  flags: SourceFlags & ReadingFlags & { readonly data: readonly string[] },
): Promise<Model> {
  const { collectLabels, FolderModel } = await library()
  if (!(model instanceof FolderModel) || (!isAuto(flags) && model.head?.open !== true)) return model
  const found = await collectLabels(flags.data, { task: model.task.name as TaskOption, ...readingOf(flags) })
  return model.withHead({ ...found, ...model.head?.options })
}

export async function openModel(flags: SourceFlags, output: Output): Promise<Model> {
  const { model, device, threads, base, output: read, constants, dims } = flags
  const { loadModel } = await library()
  return loadModel(model, {
    ...hubOptions(output),
    device: device as Device,
    ...headOptions(flags),
    ...defined({ threads, base: base as BaseScheme | undefined, output: read, constants, dims }),
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
