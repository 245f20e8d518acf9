/** @file What must be equal for a continuation to be the same run. */
import { FolderModel } from '../model/folder-model.js'
import type { Model } from '../model/model.js'
import { OnnxModel } from '../onnx-model/onnx-model.js'
import { describingFolders, isOnnxFolder } from '../model/onnx-folders.js'
import type { Dataset } from '../data/dataset.js'
import { tokenizerFilesOf } from '../formats/tokenizer-files.js'
import { isFileTensor } from '../graph/types.js'
import { ContentHash, fingerprintArray, fingerprintFile, fingerprintText } from '../util/fingerprint.js'
import { isObject } from '../util/json.js'
import type { ScheduleName } from '../optim/schedule.js'
import type { Objective } from './objective.js'
import { optionsWhere, trainOptionTable, type ResolvedTrainOptions } from './option-table.js'
import type { Extent } from './run-data.js'
import type { Trainee } from './trainee.js'

/** The key of what only the process that begins a run knows: the tensors that are never trained. */
export const START = 'frozen'

/** Fields of config.json that say who wrote it, and nothing of the model. */
const NOTES: readonly string[] = ['transformers_version', '_name_or_path', '_commit_hash']

/** Files beside a model that decide what its rows become, its tokenizer's apart. */
const READING_FILES = [
  ...['preprocessor_config.json', 'modules.json', 'sentence_bert_config.json'],
  ...['1_Pooling/config.json', '2_Normalize/config.json'],
]

/** The same text for objects that differ in the order of their keys alone. */
const canonical = (value: unknown): string =>
  JSON.stringify(value, (_, entry: unknown) =>
    isObject(entry) ? Object.fromEntries(Object.entries(entry).sort(([a], [b]) => (a < b ? -1 : 1))) : entry,
  )

/** Every byte of the weights, and which tensor lies where. */
async function weightsFingerprint({ weights, environment }: Model): Promise<string> {
  const { files, cacheFolder } = environment
  const prints = new Map<string, string>()
  const hash = new ContentHash()
  const utf8 = new TextEncoder()
  for (const [name, tensor] of weights) {
    let content: string
    if (isFileTensor(tensor)) {
      const { path, offset, length } = tensor.file
      if (!prints.has(path)) prints.set(path, await fingerprintFile(files, path, cacheFolder))
      content = `${prints.get(path)} ${offset}+${length}`
    } else content = fingerprintArray(tensor.data)
    hash.update(utf8.encode(`${name} ${tensor.dtype}[${tensor.shape.join(',')}] ${content}\n`))
  }
  return hash.digest()
}

/** config.json, without the notes of who wrote it. */
function configFingerprint(model: Model): string | undefined {
  if (!(model instanceof FolderModel || model instanceof OnnxModel) || model.config === undefined) return undefined
  return fingerprintText(canonical(Object.fromEntries(Object.entries(model.config.json).filter(([key]) => !NOTES.includes(key)))))
}

/** What an .onnx file computes with the options that it was opened with; of a folder, config.json says it. */
function graphFingerprint(model: Model): string | undefined {
  if (!(model instanceof OnnxModel)) return undefined
  const { graph } = model.build({ mode: 'full' })
  const plain = (value: unknown): unknown =>
    typeof value === 'bigint'
      ? String(value)
      : ArrayBuffer.isView(value)
        ? fingerprintArray(value)
        : value instanceof Map
          ? Object.fromEntries(value)
          : value
  const nodes = graph.nodes.map(({ op, inputs, outputs, attributes }) => [op, inputs, outputs, attributes]) // prettier-ignore
  return fingerprintText(
    JSON.stringify([graph.inputs, graph.outputs, [...graph.initializers.keys()], nodes], (_, v: unknown) => plain(v)),
  )
}

async function tokenizerFingerprint(model: Model): Promise<string> {
  const { files } = model.environment
  const [own, above] = model instanceof OnnxModel ? describingFolders(model.path) : [model.path, undefined]
  const folders = above !== undefined && isOnnxFolder(own) ? [own, above] : [own]
  const prints: string[] = []
  for (const folder of folders) {
    const names = await tokenizerFilesOf(files, folder)
    for (const name of READING_FILES) if (await files.exists(`${folder}/${name}`)) names.push(name)
    for (const name of names) prints.push(`${name} ${fingerprintArray(await files.read(`${folder}/${name}`))}`)
  }
  return prints.length === 0 ? 'none' : fingerprintText(prints.join('\n'))
}

/** The tensors that are fed with those that are trained, and that no checkpoint holds. */
function frozenFingerprint({ parameters }: Trainee): string | undefined {
  if (parameters.frozen.length === 0) return undefined
  return fingerprintText(parameters.frozen.map(({ name }) => `${name} ${fingerprintArray(parameters.view(name))}`).join('\n'))
}

/** Options that came when there were checkpoints already: their defaults are not told, so that those runs can go on. */
const laterOptions = ['optimizer', 'biasCorrection', 'lossMean', 'scheduleStep'] as const

const isDefault = (name: (typeof laterOptions)[number], options: ResolvedTrainOptions): boolean =>
  options[name] === trainOptionTable[name].default

/** Schedules that do not ask when the run ends. */
const endlessSchedules: readonly ScheduleName[] = ['constant', 'inverse_sqrt', 'piecewise']

/**
 * A JSON object as text: everything that changes the numbers of a run. Output, evaluation (unless it decides when to stop)
 * and, where it changes nothing, the length of the run may differ.
 */
export async function runFingerprint(
  trainee: Trainee,
  options: ResolvedTrainOptions,
  objective: Objective,
  dataset: Dataset,
  evalDataset: Dataset | undefined,
  { totalSteps, totalMicroBatches }: Extent,
): Promise<string> {
  const { model } = trainee
  // Two processes with four rows each make the same steps as one with eight.
  const batchSize = options.batchSize * options.communicator.size
  const { warmup, loss } = options
  return JSON.stringify({
    batchSize,
    ...Object.fromEntries(optionsWhere(({ changes }) => changes === 'numbers').map((name) => [name, options[name]])),
    ...(options.columns !== undefined && { columns: options.columns }),
    ...(!options.header && { header: false }),
    ...(options.valSplit !== undefined && { valSplit: [options.valSplit, options.valSplitBy ?? null] }),
    ...(options.loraPlusLrRatio !== undefined && {
      loraPlus: [options.loraPlusLrRatio, options.loraPlusLrEmbedding ?? null],
    }),
    ...(options.modelDropout && { modelDropout: true }),
    ...(options.classifierDropout !== undefined && { classifierDropout: options.classifierDropout }),
    ...(objective.name !== 'causal-lm' && { objective: objective.name }),
    ...(objective.name === 'causal-lm' && objective.settings),
    // The head that a folder lacks has its labels in an order that only the run knows.
    ...(model instanceof FolderModel && model.head !== undefined && { labels: model.task.labels }),
    ...(model.constants !== undefined && { constants: model.constants }),
    ...(typeof loss === 'function' && { lossFunction: fingerprintText(loss.toString()) }),
    ...Object.fromEntries(laterOptions.flatMap((name) => (isDefault(name, options) ? [] : [[name, options[name]]]))),
    // Some rates without relative warm-up do not depend on the length of the run, so it may be prolonged.
    ...(endlessSchedules.includes(options.schedule) && (warmup >= 1 || warmup === 0)
      ? {}
      : { totalSteps, ...(options.scheduleStep === 'micro-batch' && { totalMicroBatches }) }),
    ...(model.environment.base !== undefined && { base: model.environment.base }),
    data: await dataset.fingerprint(),
    ...(options.earlyStopping !== undefined && { evalData: await evalDataset?.fingerprint() }),
    weights: await weightsFingerprint(model),
    config: configFingerprint(model),
    graph: graphFingerprint(model),
    tokenizer: await tokenizerFingerprint(model),
    trained: trainee.fingerprint,
    [START]: frozenFingerprint(trainee),
  })
}
