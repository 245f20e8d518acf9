/** @file Preferences: which objective the options name; of two completions of a prompt the chosen one shall be likelier. */
import { preferenceEncoding } from '../../data/preferences.js'
import { InvalidOptionError } from '../../errors.js'
import { dpoLoss, orpoLoss, type PreferenceLoss } from '../../losses/preference.js'
import { dpoLossTypes, ktoLossTypes, type DpoLossType } from '../../losses/preference-loss-types.js'
import type { HostTensor } from '../../graph/types.js'
import type { Objective, Scores } from '../objective.js'
import { kto } from './kto.js'
import type { ObjectiveOptions } from './options.js'
import { policyOf, referenceOf } from './policy.js'
import { noScores } from './scores.js'

/** The options that belong to some objectives of language models, and which those are. */
const objectivesWith = {
  beta: ['dpo', 'orpo', 'kto'],
  labelSmoothing: ['sft', 'dpo'],
  lossType: ['dpo', 'kto'],
  desirableWeight: ['kto'],
  undesirableWeight: ['kto'],
} as const satisfies Partial<Record<keyof ObjectiveOptions, readonly ObjectiveOptions['objective'][]>>

export const preferenceOptionNames = Object.keys(objectivesWith) as readonly (keyof typeof objectivesWith)[]

/**
 * The objective of a language model, or undefined where it is the next token.
 * @throws InvalidOptionError naming the option that the objective does not have
 */
export function preferenceObjective(options: ObjectiveOptions): Objective | undefined {
  const { objective = 'sft', beta = 0.1, labelSmoothing = 0, desirableWeight = 1, undesirableWeight = 1 } = options
  for (const name of preferenceOptionNames) {
    const having: readonly string[] = objectivesWith[name]
    if (options[name] !== undefined && !having.includes(objective))
      throw new InvalidOptionError(`${name} is for objective ${either(having)}, but the objective is "${objective}"`)
  }
  switch (objective) {
    case 'sft':
    case 'mlm':
      return undefined
    case 'dpo': {
      const lossType = lossTypeOf(options, dpoLossTypes)
      if (labelSmoothing >= 0.5)
        throw new InvalidOptionError(
          `labelSmoothing of objective "dpo" must be below 0.5, got ${labelSmoothing}: from there on more pairs would be labelled wrongly than rightly`,
        )
      if (labelSmoothing > 0 && lossType !== 'sigmoid')
        throw new InvalidOptionError(`labelSmoothing is for lossType "sigmoid", but it is "${lossType}"`)
      return dpo(beta, labelSmoothing, lossType)
    }
    case 'orpo':
      return orpo(beta)
    case 'kto':
      return kto({ beta, lossType: lossTypeOf(options, ktoLossTypes), desirableWeight, undesirableWeight })
  }
}

const either = (names: readonly string[]): string => {
  const quoted = names.map((name) => `"${name}"`)
  return [quoted.slice(0, -1).join(', '), ...quoted.slice(-1)].filter((part) => part !== '').join(' or ')
}

/** The loss that is asked for, the first by default. @throws InvalidOptionError if it is another objective's */
function lossTypeOf<const T extends string>({ objective, lossType }: ObjectiveOptions, own: readonly [T, ...T[]]): T {
  const found = own.find((name) => name === (lossType ?? own[0]))
  if (found !== undefined) return found
  throw new InvalidOptionError(`lossType of objective "${objective}" must be ${either(own)}, got "${lossType}"`)
}

const sumsOf = ({ accuracy, margin, chosenReward, rejectedReward }: PreferenceLoss) => ({
  ...{ rewardAccuracy: accuracy, rewardMargin: margin },
  ...{ rewardChosen: chosenReward, rewardRejected: rejectedReward },
})

/**
 * Direct preference optimization against the model without what is trained. Both are computed in one graph, which holds
 * the weights once; what the reference computes is freed as it goes, for no gradient passes through it.
 */
const dpo = (beta: number, labelSmoothing: number, lossType: DpoLossType): Objective => ({
  name: `dpo, ${lossType}, beta ${beta}${labelSmoothing > 0 ? `, label smoothing ${labelSmoothing}` : ''}`,
  settings: { objective: 'dpo', beta, lossType, ...(lossType === 'sigmoid' && { labelSmoothing }) },
  divisible: true,
  causal: true,
  encoding: (options) => preferenceEncoding(options, { labels: 'completion' }),
  attach(context) {
    const built = dpoLoss(context.graph, {
      ...policyOf(context, 2),
      ...{ beta, labelSmoothing, lossType },
      reference: referenceOf(context),
    })
    return { graph: built.graph, loss: built.loss, outputs: [], sums: sumsOf(built) }
  },
  scores: noScores,
})

/** Odds ratio preference optimization: no reference. */
const orpo = (beta: number): Objective => ({
  name: `orpo, beta ${beta}`,
  settings: { objective: 'orpo', beta },
  divisible: true,
  causal: true,
  encoding: (options) => preferenceEncoding(options, { labels: 'all' }),
  attach(context) {
    const built = orpoLoss(context.graph, { ...policyOf(context, 2), beta })
    return { graph: built.graph, loss: built.loss, outputs: [built.nll, built.odds], sums: sumsOf(built) }
  },
  scores: orpoScores,
})

/** The loss over all data: a mean over tokens and one over pairs, which those of its batches do not add up to. */
function orpoScores(): Scores {
  let [nll, odds, tokens, pairs] = [0, 0, 0, 0]
  const sum = (tensor: HostTensor | undefined): number => (tensor!.data as Float32Array).reduce((a, b) => a + b, 0)
  return {
    add(outputs, feeds) {
      const [nlls, ratios] = Object.values(outputs)
      nll += sum(nlls)
      odds += sum(ratios)
      pairs += ratios!.data.length
      const labels = feeds['labels']!
      const [rows, width] = labels.shape as [number, number]
      for (let row = 0; row < rows; row += 2) for (let t = 1; t < width; t++) tokens += Number(labels.data[row * width + t]! >= 0)
    },
    result: () => ({ loss: nll / tokens + odds / pairs }),
  }
}
