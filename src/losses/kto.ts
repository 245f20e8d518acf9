/** @file Losses of single completions that are desirable or not: Kahneman-Tversky optimization. */
import type { Graph } from '../graph/graph.js'
import type { Value } from '../graph/types.js'
import { attachLoss, type SummedLoss } from './attach.js'
import { labelledPositions } from './label-log-probabilities.js'
import { logRatios, type ReferenceOptions } from './preference.js'

export interface KtoLossOptions extends ReferenceOptions {
  /** How far the policy may leave the reference; above 0. */
  readonly beta: number
  /** What the losses of either kind are multiplied by. */
  readonly desirableWeight: number
  readonly undesirableWeight: number
  /** Whether rewards are measured from the KL divergence, which is fed. */
  readonly fromKl: boolean
}

/** A loss over completions; everything is summed over rows, a scalar. */
export interface KtoLoss extends SummedLoss {
  /** Rewards of desirable completions, and of the others. */
  readonly chosenReward: Value
  readonly rejectedReward: Value
  /** Rows that are desirable. */
  readonly desirable: Value
  /** The KL divergence, once for each row; undefined where nothing is measured from it. */
  readonly kl: Value | undefined
}

/**
 * Kahneman-Tversky optimization (Ethayarajh et al., 2024, equation 7), summed over rows, with the log-ratio
 * r = log π(completion)/π₀(completion) summed over the labelled tokens: 1 − σ(β(r − KL)) of a desirable completion,
 * 1 − σ(β(KL − r)) of an undesirable one, each with its weight. Rewards are β·r.
 *
 * Adds the inputs `labels` int64 [batch, sequence], `desirable` float32 [batch], 1 or 0, and with `fromKl` `kl` float32
 * [batch], the same number for every row, through which no gradient passes.
 */
export function ktoLoss(graph: Graph, options: KtoLossOptions): KtoLoss {
  const { beta, desirableWeight, undesirableWeight, fromKl } = options
  let rest: Omit<KtoLoss, keyof SummedLoss> | undefined
  const built = attachLoss(graph, (b, result) => {
    const labelled = labelledPositions(b, result.addInput('labels', 'int64', ['batch', 'sequence']))
    const desirable = result.addInput('desirable', 'float32', ['batch'])
    const kl = fromKl ? result.addInput('kl', 'float32', ['batch']) : undefined
    const ratios = logRatios(b, labelled, options)
    // 1 − σ(x) = σ(−x): the sign says which way is better.
    const sign = b.sub(1, b.mul(desirable, 2))
    const weight = b.add(b.mul(desirable, desirableWeight - undesirableWeight), undesirableWeight)
    const distance = b.mul(kl === undefined ? ratios : b.sub(ratios, kl), beta)
    const rewards = b.mul(ratios, beta)
    rest = {
      chosenReward: b.sumAll(b.mul(rewards, desirable)),
      rejectedReward: b.sumAll(b.mul(rewards, b.sub(1, desirable))),
      desirable: b.sumAll(desirable),
      kl: kl && b.sumAll(kl),
    }
    return b.sumAll(b.mul(b.sigmoid(b.mul(sign, distance)), weight))
  })
  const { chosenReward, rejectedReward, desirable, kl } = rest!
  built.graph.outputs = [built.loss, chosenReward, rejectedReward, desirable, ...(kl === undefined ? [] : [kl])]
  return { ...built, ...rest! }
}

/**
 * The log-ratios of completions that belong to other prompts, summed over rows: what the KL divergence is estimated from.
 * Adds the input `labels` int64 [batch, sequence].
 */
export function mismatchedRatios(graph: Graph, options: ReferenceOptions): SummedLoss {
  const built = attachLoss(graph, (b, result) =>
    b.sumAll(logRatios(b, labelledPositions(b, result.addInput('labels', 'int64', ['batch', 'sequence'])), options)),
  )
  built.graph.outputs = [built.loss]
  return built
}
