/** @file The model card of a run, from what the trainer has at its end. */
import { FolderModel } from '../model/folder-model.js'
import type { Model } from '../model/model.js'
import type { Dataset } from '../data/dataset.js'
import { fileNamesOf, type RowData } from '../data/row-data.js'
import { baseName } from '../io/places.js'
import { isHubName } from '../util/hub-name.js'
import { VERSION } from '../util/version.js'
import type { RunLog } from './log.js'
import { writeModelCard, type ModelCard } from './model-card.js'
import type { Objective } from './objective.js'
import { optionsWhere, tellable, type ResolvedTrainOptions } from './option-table.js'
import type { Trainee } from './trainee.js'

interface RunData {
  readonly trainee: Trainee
  readonly options: ResolvedTrainOptions
  readonly objective: Objective
  readonly dataset: Dataset
  readonly evalDataset: Dataset | undefined
  readonly log: RunLog
  /** The step that the adapter is of, where it is that of the best evaluation. */
  readonly bestStep?: number | undefined
}

/** The head that the base was given; question answering has two outputs anyway. */
function headOf(model: Model): Pick<ModelCard, 'head'> {
  if (!(model instanceof FolderModel) || model.head === undefined || !model.task.name.endsWith('-classification')) return {}
  return { head: { numLabels: model.task.numLabels, mismatches: model.head.mismatches } }
}

/** Names of the files of rows, without folders; none of rows in memory. */
const dataNames = (data: RowData): string[] => (fileNamesOf(data) ?? []).map(baseName)

/** Writes the card of an adapter into the run's folder, unless `modelCard` is false. Runs on all weights have none. */
export async function writeRunCard({ trainee, options, objective, dataset, evalDataset, log, bestStep }: RunData): Promise<void> {
  const { config, model } = trainee
  const { out, data, evalData, modelCard, license, command } = options
  if (config === undefined || out === undefined || !modelCard) return
  const { files } = model.environment
  const baseModel = config.baseModelNameOrPath ?? model.id
  await writeModelCard(files, out, {
    baseModel,
    // A folder may have the name of a repository, and goes before it wherever models are opened.
    baseOnHub: isHubName(baseModel) && !(await files.exists(baseModel)),
    task: model.task.name,
    config,
    dataFiles: dataNames(data),
    ...(evalData !== undefined && { evalFiles: dataNames(evalData) }),
    dataFingerprint: await dataset.fingerprint(),
    ...headOf(model),
    ...(evalDataset !== undefined && { evalRows: evalDataset.length }),
    ...(model.constants !== undefined && { constants: model.constants }),
    // The number of steps goes before that of epochs.
    hyperparameters: Object.fromEntries(
      optionsWhere(({ card }) => card)
        .filter((name) => name !== 'epochs' || options.steps === undefined)
        // What is not given is what the objective makes of it; a loss may be a function, of which JSON tells nothing.
        .map((name) => [name, tellable(options[name] ?? objective.settings?.[name])]),
    ),
    events: await log.events(),
    version: VERSION,
    ...(license !== undefined && { license }),
    ...(command !== undefined && { command }),
    ...(bestStep !== undefined && { bestStep }),
  })
}
