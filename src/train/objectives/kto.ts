/** @file KTO: completions that are desirable shall become likelier than the model without what is trained has them, others less. */
import type { Batch } from '../../data/batch.js'
import { unpairedEncoding } from '../../data/unpaired-preferences.js'
import { ktoLoss, mismatchedRatios } from '../../losses/kto.js'
import type { KtoLossType } from '../../losses/preference-loss-types.js'
import type { Objective, Preliminary } from '../objective.js'
import { policyOf, referenceOf } from './policy.js'
import { noScores } from './scores.js'

export interface KtoSettings {
  readonly beta: number
  readonly lossType: KtoLossType
  readonly desirableWeight: number
  readonly undesirableWeight: number
}

/** Kahneman-Tversky optimization: the mean over rows, as in TRL. */
export function kto({ beta, lossType, desirableWeight, undesirableWeight }: KtoSettings): Objective {
  const fromKl = lossType === 'kto'
  const weights = `weights ${desirableWeight} and ${undesirableWeight}`
  return {
    // The name is part of a run's fingerprint: how the mismatched completions are chosen is part of what it computes.
    name: `kto, ${lossType}, beta ${beta}, ${weights}${fromKl ? ', completions shifted by 1' : ''}`,
    settings: { objective: 'kto', beta, lossType, desirableWeight, undesirableWeight },
    divisible: true,
    causal: true,
    ...(fromKl && { preliminary: klDivergence }),
    encoding: (options) => unpairedEncoding(options, { mismatched: fromKl }),
    attach(context) {
      const built = ktoLoss(context.graph, {
        ...policyOf(context, 1),
        ...{ beta, desirableWeight, undesirableWeight, fromKl },
        reference: referenceOf(context),
      })
      const { graph, loss, chosenReward, rejectedReward, desirable, kl } = built
      return { graph, loss, outputs: [], sums: { chosenReward, rejectedReward, desirable, ...(kl && { kl }) } }
    },
    scores: noScores,
    means({ chosenReward, rejectedReward, desirable, kl }, count) {
      const undesirable = count - desirable!
      const rewardChosen = desirable! > 0 ? chosenReward! / desirable! : undefined
      const rewardRejected = undesirable > 0 ? rejectedReward! / undesirable : undefined
      const both = rewardChosen !== undefined && rewardRejected !== undefined
      return {
        rewardMargin: both ? rewardChosen - rewardRejected : undefined,
        ...{ rewardChosen, rewardRejected },
        ...(kl !== undefined && { kl: kl / count }),
      }
    },
  }
}

/**
 * The KL divergence of a batch, estimated as in TRL: the mean log-ratio of its prompts with each other's completions, at
 * least 0. No gradient passes through it, and it is the whole batch's, however that is cut into parts.
 */
const klDivergence: Preliminary = {
  objective: {
    name: 'kto, KL divergence',
    divisible: true,
    causal: true,
    encoding: (options) => unpairedEncoding(options, { mismatched: true }),
    attach: (context) => ({
      ...mismatchedRatios(context.graph, { ...policyOf(context, 1), reference: referenceOf(context) }),
      outputs: [],
    }),
    scores: noScores,
  },
  rowsOf: ({ mismatched }) => mismatched,
  told({ mismatched: _, ...batch }, { loss, count }): Batch {
    const data = new Float32Array(batch.rows).fill(Math.max(0, loss / count))
    return { ...batch, feeds: { ...batch.feeds, kl: { dtype: 'float32', shape: [batch.rows], data } } }
  },
}
