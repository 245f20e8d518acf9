/** @file The objective of a model: by its task, by its rows where the task leaves it open, or as the user says. */
import type { Model } from '../../model/model.js'
import { OnnxModel } from '../../onnx-model/onnx-model.js'
import { findScoreField, inferProblemType } from '../../data/labels.js'
import type { Row } from '../../data/rows.js'
import { InvalidOptionError } from '../../errors.js'
import type { Objective } from '../objective.js'
import { causalLm } from './causal-lm.js'
import type { TrainOptions } from '../options.js'
import { sequenceClassification, singleLabel, tokenClassification } from './classification.js'
import { embeddingSettings } from './embedding-settings.js'
import { customLoss, outputLoss } from './custom.js'
import type { ObjectiveOptions } from './options.js'
import { rDrop } from './r-drop.js'
import { preferenceObjective, preferenceOptionNames } from './preference.js'
import { maskedLm, MLM_PROBABILITY } from './masked-lm.js'
import { offerHead } from './offer.js'
import { questionAnswering } from './question-answering.js'
import { similarity } from './similarity.js'

const isOutput = (loss: ObjectiveOptions['loss']): loss is `output:${string}` =>
  typeof loss === 'string' && loss.startsWith('output:')

/** What of a run's options makes each row run twice. */
export type TwoPasses = Pick<TrainOptions, 'rDrop' | 'cutoff'>

/** Whether the rows of a model tell what its task leaves open: kinds of labels, scores beside pairs. */
export const rowsTell = ({ task }: Model): boolean =>
  task.name === 'sequence-classification' || task.name === 'feature-extraction'

/**
 * The objective of a model for rows such as `first`.
 * @throws InvalidOptionError if the options do not fit the model's task; InvalidDataError if the row tells no kind of label
 */
export function objectiveFor(model: Model, options: ObjectiveOptions & TwoPasses, first: Row | undefined): Objective {
  const { task } = model
  const { loss, problemType, rDrop: weight, cutoff = 0 } = options
  const refuse = (name: string, of: string): never => {
    throw new InvalidOptionError(`${name} is for ${of}, but the model is for ${task.name}`)
  }
  if (weight !== undefined && (task.name !== 'sequence-classification' || loss !== undefined))
    throw new InvalidOptionError(
      `rDrop (--r-drop) is for sequence classifiers with their own loss, but ${loss === undefined ? `the model is for ${task.name}` : 'a loss is given'}`,
    )
  if (options.objective === 'mlm' && task.name !== 'masked-lm')
    throw new InvalidOptionError(
      `objective "mlm" is for encoders with the head of a masked language model, but the model is for ${task.name}; open it with { task: 'masked-lm' } (--task masked-lm)`,
    )
  if (task.name !== 'masked-lm' && options.mlmProbability !== undefined)
    refuse('mlmProbability', 'masked language models (masked-lm)')
  if (task.name !== 'causal-lm')
    for (const name of ['objective', ...preferenceOptionNames] as const)
      if (options[name] !== undefined && options[name] !== 'mlm') refuse(name, 'language models')
  const preference = preferenceObjective(options)
  if (preference !== undefined) {
    if (loss === undefined) return preference
    throw new InvalidOptionError(`loss and objective "${options.objective}" exclude each other: the objective is the loss`)
  }
  if (loss !== undefined && options.labelSmoothing !== undefined)
    throw new InvalidOptionError('loss and labelSmoothing exclude each other: labels are smoothed in the loss of language models')
  if (typeof loss === 'function') return customLoss(model, loss)
  if (isOutput(loss)) return outputLoss(model, loss.slice('output:'.length))
  if (task.name !== 'feature-extraction') {
    if (loss !== undefined) refuse(`loss "${loss}"`, 'embedding models (feature-extraction)')
    for (const name of ['pooling', 'promptName'] as const)
      if (options[name] !== undefined) refuse(name, 'embedding models (feature-extraction)')
  }
  if (task.name !== 'sequence-classification' && problemType !== undefined) refuse('problemType', 'sequence classifiers')
  switch (task.name) {
    case 'custom':
      throw new InvalidOptionError(
        model instanceof OnnxModel ? model.noTask : `nothing says what ${model.path} is for; give a loss`,
      )
    case 'causal-lm':
      return causalLm(options.labelSmoothing)
    case 'masked-lm':
      return maskedLm(options.mlmProbability ?? MLM_PROBABILITY)
    case 'sequence-classification': {
      const type = problemType ?? task.problemType ?? (first === undefined ? undefined : inferProblemType(first, task))
      const kind = type ?? (task.numLabels === 1 ? 'regression' : 'single_label_classification')
      if (weight === undefined) return sequenceClassification(task, kind)
      if (kind === 'single_label_classification') return rDrop(task, { weight, cutoff })
      throw new InvalidOptionError(`rDrop (--r-drop) compares the classes of two passes, but the rows are for ${kind}`)
    }
    case 'image-classification':
      return singleLabel(task)
    case 'token-classification':
      return tokenClassification(task)
    case 'question-answering':
      return questionAnswering
    case 'feature-extraction': {
      if (first !== undefined) offerHead(model, first)
      const scored = first !== undefined && findScoreField(first) !== undefined
      return similarity(loss ?? (scored ? 'cosine' : 'contrastive'), embeddingSettings(model, options))
    }
  }
}

/** The objective of a model whose rows are not known. */
export const defaultObjective = (model: Model): Objective => objectiveFor(model, {}, undefined)
