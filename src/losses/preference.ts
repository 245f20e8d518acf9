/** @file Losses of preference: of two completions of a prompt, the chosen one shall be likelier than the rejected one. */
import type { GraphBuilder } from '../graph/builder.js'
import type { Graph } from '../graph/graph.js'
import { type Value } from '../graph/types.js'
import { attachLoss, type SummedLoss } from './attach.js'
import {
  IGNORED_LABEL,
  labelledPositions,
  logProbabilities,
  withoutFirst,
  type HeadOptions,
  type LabelledPositions,
} from './label-log-probabilities.js'
import type { DpoLossType } from './preference-loss-types.js'

/** A head and the number of its chunks. */
export type PolicyOptions = HeadOptions

/** A policy, and what it is compared with. */
export interface ReferenceOptions extends PolicyOptions {
  /** The model without what is trained, in the same graph: its hidden states and logits. */
  readonly reference: (graph: Graph) => Pick<HeadOptions, 'hidden' | 'logits'>
}

export interface DpoLossOptions extends ReferenceOptions {
  /** How far the policy may leave the reference; above 0. */
  readonly beta: number
  /** Share of pairs that may be labelled wrongly, in [0, 0.5); of `sigmoid` alone. */
  readonly labelSmoothing: number
  readonly lossType: DpoLossType
}

/** A loss over pairs, the rows of a batch being chosen, rejected, chosen, rejected, …; summed over pairs. */
export interface PreferenceLoss extends SummedLoss {
  /** Rewards of each pair, [pairs]. */
  readonly rewards: RewardsOfPairs
  /** Summed over pairs, scalars: pairs whose chosen reward is larger, by how much it is, and both rewards. */
  readonly accuracy: Value
  readonly margin: Value
  readonly chosenReward: Value
  readonly rejectedReward: Value
}

interface RewardsOfPairs {
  readonly chosen: Value
  readonly rejected: Value
}

/** Name of half the rows of a batch. */
const PAIRS = 'pairs'

/**
 * Direct preference optimization, summed over pairs: δ = log π(chosen)/π₀(chosen) − log π(rejected)/π₀(rejected), the
 * log-probabilities summed over the labelled tokens. Rewards are β·log π/π₀.
 * Adds the input `labels` int64 [batch, sequence].
 */
export function dpoLoss(graph: Graph, options: DpoLossOptions): PreferenceLoss {
  const { beta, labelSmoothing, lossType } = options
  return build(graph, (b, labelled) => {
    const ratios = logRatios(b, labelled, options)
    const tokens = b.reduceSum(b.cast(counts(b, labelled), 'float32'), [1], false)
    const [chosen, rejected] = pairs(b, ratios)
    const delta = b.mul(b.sub(chosen, rejected), beta)
    const losses = (): Value => {
      switch (lossType) {
        case 'sigmoid':
          return labelSmoothing === 0
            ? softplus(b, b.neg(delta))
            : b.add(b.mul(softplus(b, b.neg(delta)), 1 - labelSmoothing), b.mul(softplus(b, delta), labelSmoothing))
        case 'hinge':
          return b.relu(b.sub(1, delta))
        case 'ipo': {
          const [meanChosen, meanRejected] = pairs(b, b.div(ratios, tokens))
          const distance = b.sub(b.sub(meanChosen, meanRejected), 1 / (2 * beta))
          return b.mul(distance, distance)
        }
      }
    }
    return { losses: losses(), rewards: { chosen: b.mul(chosen, beta), rejected: b.mul(rejected, beta) } }
  })
}

export interface OrpoLossOptions extends PolicyOptions {
  /** Weight of the odds ratio, the paper's λ (TRL's `beta`); above 0. */
  readonly beta: number
}

export interface OrpoLoss extends PreferenceLoss {
  /** −Σ log π over the labelled tokens of the chosen row, [pairs]. */
  readonly nll: Value
  /** β·−log σ(log odds ratio), [pairs]. */
  readonly odds: Value
}

/** Probabilities nearer to 1 than this are taken for it: the odds of certainty are infinite. */
const CERTAIN = -1e-6

/**
 * Odds ratio preference optimization (Hong et al., 2024), summed over pairs: w·NLL(chosen) − λ·log σ(log odds ratio), with
 * odds(y) = p/(1 − p) and log p the mean log-probability of a completion's tokens. Rewards are λ·log p.
 *
 * Adds the inputs `labels` int64 [batch, sequence] (of the chosen rows also those of the prompt, which its likelihood
 * counts), `completion_mask` float32 [batch, sequence], 1 on completions, and `nll_weight` float32 [batch], w of the
 * chosen rows: the pairs of a batch over the labelled tokens of its chosen rows gives the mean over tokens, as in TRL.
 */
export function orpoLoss(graph: Graph, options: OrpoLossOptions): OrpoLoss {
  const { beta } = options
  const parts: { nll?: Value; odds?: Value } = {}
  const built = build(graph, (b, labelled) => {
    const completion = withoutFirst(b, b.graph.addInput('completion_mask', 'float32', ['batch', 'sequence']))
    const weight = b.graph.addInput('nll_weight', 'float32', ['batch'])
    const all = logProbabilities(b, labelled, options)
    const means = b.div(b.reduceSum(b.mul(all, completion), [1], false), b.reduceSum(completion, [1], false))
    const [chosen, rejected] = pairs(b, b.min(means, CERTAIN))
    const logOdds = b.sub(b.sub(chosen, rejected), b.sub(logOneMinusExp(b, chosen), logOneMinusExp(b, rejected)))
    parts.odds = b.mul(softplus(b, b.neg(logOdds)), beta)
    const [sums] = pairs(b, b.neg(b.reduceSum(all, [1], false)))
    parts.nll = sums
    return {
      losses: b.add(b.mul(sums, pairs(b, weight)[0]), parts.odds),
      rewards: { chosen: b.mul(chosen, beta), rejected: b.mul(rejected, beta) },
    }
  })
  built.graph.outputs.push(parts.nll!, parts.odds!)
  return { ...built, nll: parts.nll!, odds: parts.odds! }
}

/** Sums a loss over pairs and counts what its rewards say; the graph keeps nothing else. */
function build(
  graph: Graph,
  lossOf: (b: GraphBuilder, labelled: LabelledPositions) => { losses: Value; rewards: RewardsOfPairs },
): PreferenceLoss {
  let rest: Omit<PreferenceLoss, keyof SummedLoss> | undefined
  const built = attachLoss(graph, (b, result) => {
    const { losses, rewards } = lossOf(b, labelledPositions(b, result.addInput('labels', 'int64', ['batch', 'sequence'])))
    const { chosen, rejected } = rewards
    rest = {
      rewards,
      accuracy: b.sumAll(b.cast(b.greater(chosen, rejected), 'float32')),
      margin: b.sumAll(b.sub(chosen, rejected)),
      chosenReward: b.sumAll(chosen),
      rejectedReward: b.sumAll(rejected),
    }
    return b.sumAll(losses)
  })
  const { accuracy, margin, chosenReward, rejectedReward } = rest!
  built.graph.outputs = [built.loss, accuracy, margin, chosenReward, rejectedReward]
  return { ...built, ...rest! }
}

/** log π/π₀ of each row, summed over its labelled tokens, [batch]. */
export function logRatios(b: GraphBuilder, labelled: LabelledPositions, options: ReferenceOptions): Value {
  const policy = logProbabilities(b, labelled, options)
  const reference = logProbabilities(b, labelled, { ...options, ...options.reference(b.graph) })
  return b.sub(b.reduceSum(policy, [1], false), b.reduceSum(reference, [1], false))
}

const counts = (b: GraphBuilder, { labels }: LabelledPositions): Value => b.not(b.equal(labels, IGNORED_LABEL))

/** A value for each row as those of the chosen and of the rejected ones, [pairs] each. */
function pairs(b: GraphBuilder, rows: Value): [Value, Value] {
  const end = b.squeeze(b.dim('batch'), [0])
  const every = (first: number): Value =>
    b.emit('Range', [b.scalar(first, 'int64'), end, b.scalar(2, 'int64')], {}, { shapes: [[PAIRS]] })
  return [b.gather(rows, every(0)), b.gather(rows, every(1))]
}

/** log(1 + eˣ) = −log σ(−x). */
const softplus = (b: GraphBuilder, x: Value): Value => b.emit('Softplus', [x])

/**
 * log(1 − eˣ) of x < 0. With t = tanh(x/2), 1 − eˣ = −2t/(1 − t): no digits are lost near 0, where eˣ is 1.
 */
function logOneMinusExp(b: GraphBuilder, x: Value): Value {
  const t = b.tanh(b.mul(x, 0.5))
  return b.log(b.div(b.mul(t, -2), b.sub(1, t)))
}
