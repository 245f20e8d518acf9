/** @file What a training of gpt2_ft.py works with: its rows, which are read first, the model, and what of it is trained. */
import type { Environment } from '../../environment.js'
import { InvalidOptionError } from '../../errors.js'
import type { HostTensor } from '../../graph/types.js'
import { FolderModel } from '../../model/folder-model.js'
import { randomWeights } from '../../models/random.js'
import { fullTrainee, type Trainee } from '../../train/trainee.js'
import { mergedLora } from './merged-lora.js'
import { findConfig } from './model-cards.js'
import { openGpt2 } from './open-gpt2.js'
import type { ResolvedNlgTraining } from './training-options.js'
import { TrainingRows } from './training-rows.js'

/** A training before its first step. */
export interface OpenTraining {
  readonly model: FolderModel
  readonly trainee: Trainee
  /** Of LoRA alone, by names in the model; undefined where the whole model is trained. */
  readonly lora: ReadonlyMap<string, HostTensor> | undefined
  readonly rows: TrainingRows
  readonly validRows: TrainingRows
}

/** The card of a run that names none. */
const DEFAULT_CARD = 'gpt2.md'

/** @throws InvalidOptionError, InvalidDataError, InvalidModelError, InvalidAdapterError */
export async function openTraining(environment: Environment, options: ResolvedNlgTraining): Promise<OpenTraining> {
  const { seq_len, lora_dim: rank, lora_alpha: alpha, lora_dropout: dropout, random_seed: seed, obj } = options
  const source = await openSource(environment, options)
  const { vocabularySize, maxPositions, start } = source
  if (seq_len > maxPositions) throw new InvalidOptionError(`--seq_len is ${seq_len}, but the model has ${maxPositions} positions`)
  const open = (path: string, batchSize: number, objective: typeof obj): Promise<TrainingRows> =>
    TrainingRows.open(environment.files, path, { batchSize, objective, sequenceLength: seq_len, seed, vocabularySize })
  const rows = await open(options.train_data, options.train_batch_size, obj)
  const validRows = await open(options.valid_data, options.valid_batch_size, 'clm')
  const model = source.model()
  if (rank === 0) return { model, trainee: await fullTrainee(model), lora: undefined, rows, validRows }
  const trainee = mergedLora(model, { rank, alpha, dropout, seed }, start)
  return { model, trainee, lora: trainee.tensors, rows, validRows }
}

/** A model, which is not made before the rows are known to be fine where that takes long. */
interface Source {
  readonly vocabularySize: number
  readonly maxPositions: number
  readonly model: () => FolderModel
  /** LoRA that the run goes on from; empty where it begins. */
  readonly start: ReadonlyMap<string, HostTensor>
}

async function openSource(environment: Environment, options: ResolvedNlgTraining): Promise<Source> {
  const { init_checkpoint: checkpoint, base_checkpoint: base, model_card: modelCard, random_seed } = options
  const { lora_dim: loraDim, lora_alpha: loraAlpha } = options
  if (checkpoint === undefined) {
    // Nothing has been learned by it: the script makes such a model, too.
    const config = await findConfig(environment.files, modelCard, [], DEFAULT_CARD)
    return {
      vocabularySize: config.integer('vocab_size'),
      maxPositions: config.integer('n_positions'),
      model: () => FolderModel.fromWeights(environment, config, randomWeights(config, random_seed)),
      start: new Map(),
    }
  }
  const opened = await openGpt2(environment, { checkpoint, base, modelCard, card: DEFAULT_CARD, loraDim, loraAlpha })
  const { model, lora, adapter } = opened
  if (adapter !== undefined && lora.size === 0)
    throw new InvalidOptionError(
      `--init_checkpoint ${checkpoint} is a PEFT folder, whose form is not the one that is trained here; convert it to loralib's, or train it with lowrank train`,
    )
  return { vocabularySize: model.vocabularySize, maxPositions: model.maxPositions, model: () => model, start: lora }
}
