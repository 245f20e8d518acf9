/** @file Preferences: of two completions of a prompt, the chosen one shall be likelier than the rejected one. */
import { preferenceEncoding } from '../../data/preferences.js'
import { InvalidOptionError } from '../../errors.js'
import { importGraph } from '../../graph/import-graph.js'
import { dpoLoss, orpoLoss, type PreferenceLoss } from '../../losses/preference.js'
import type { PreferenceLossType } from '../../losses/preference-loss-types.js'
import type { HostTensor } from '../../graph/types.js'
import type { LossContext, Objective, Scores } from '../objective.js'
import { lossChunks } from './causal-lm.js'
import type { ObjectiveOptions } from './options.js'
import { noScores } from './scores.js'

/** The options that belong to preferences alone. */
export const preferenceOptionNames = ['beta', 'labelSmoothing', 'lossType'] as const

/**
 * The objective of a language model, or undefined where it is the next token.
 * @throws InvalidOptionError naming the option that the objective does not have
 */
export function preferenceObjective(options: ObjectiveOptions): Objective | undefined {
  const { objective = 'sft', beta = 0.1, labelSmoothing = 0, lossType = 'sigmoid' } = options
  for (const name of preferenceOptionNames)
    if (options[name] !== undefined && objective !== 'dpo' && !(objective === 'orpo' && name === 'beta'))
      throw new InvalidOptionError(
        `${name} is for objective "dpo"${name === 'beta' ? ' or "orpo"' : ''}, but the objective is "${objective}"`,
      )
  if (labelSmoothing > 0 && lossType !== 'sigmoid')
    throw new InvalidOptionError(`labelSmoothing is for lossType "sigmoid", but it is "${lossType}"`)
  switch (objective) {
    case 'sft':
      return undefined
    case 'dpo':
      return dpo(beta, labelSmoothing, lossType)
    case 'orpo':
      return orpo(beta)
  }
}

/** What the loss reads of the policy. A pair takes two rows, so a run of one pair may have twice the usual positions. */
const policy = ({ graph, hidden, positions, vocabularySize, chunkBytes }: LossContext) => ({
  hidden,
  logits: graph.outputs[0]!,
  chunks: lossChunks(2 * positions, vocabularySize, chunkBytes),
})

const sumsOf = ({ accuracy, margin }: PreferenceLoss) => ({ rewardAccuracy: accuracy, rewardMargin: margin })

/**
 * Direct preference optimization against the model without what is trained. Both are computed in one graph, which holds
 * the weights once; what the reference computes is freed as it goes, for no gradient passes through it.
 */
const dpo = (beta: number, labelSmoothing: number, lossType: PreferenceLossType): Objective => ({
  name: `dpo, ${lossType}, beta ${beta}${labelSmoothing > 0 ? `, label smoothing ${labelSmoothing}` : ''}`,
  divisible: true,
  causal: true,
  encoding: (options) => preferenceEncoding(options, { labels: 'completion' }),
  attach(context) {
    const built = dpoLoss(context.graph, {
      ...policy(context),
      ...{ beta, labelSmoothing, lossType },
      reference(graph) {
        const base = context.reference()
        const [hidden, logits] = importGraph(graph, base.graph, [base.hidden, base.graph.outputs[0]!], 'reference/')
        return { hidden: hidden!, logits: logits! }
      },
    })
    return { graph: built.graph, loss: built.loss, outputs: [], sums: sumsOf(built) }
  },
  scores: noScores,
})

/** Odds ratio preference optimization: no reference. */
const orpo = (beta: number): Objective => ({
  name: `orpo, beta ${beta}`,
  divisible: true,
  causal: true,
  encoding: (options) => preferenceEncoding(options, { labels: 'all' }),
  attach(context) {
    const built = orpoLoss(context.graph, { ...policy(context), beta })
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
