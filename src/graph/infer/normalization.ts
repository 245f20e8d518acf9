/** @file Element types and shapes of normalisations. */
import { forAll, like, likeFirst, type Inference } from './context.js'

/** The mean and the reciprocal of the deviation, each where they are asked for. */
const withStatistics: Inference = (c) => {
  const shape = c.shape(0)
  const axis = c.axis(-1)
  const statistics = { dtype: c.dtype(0), shape: shape.map((dim, i) => (i < axis ? dim : 1)) }
  return [{ dtype: c.dtype(0), shape }, statistics, statistics].slice(0, c.outputCount)
}

export const normalizations = {
  ...forAll(['LayerNormalization', 'SimplifiedLayerNormalization'], withStatistics),
  ...forAll(['InstanceNormalization', 'GroupNormalization', 'RMSNormalization'], like),
  ...forAll(['LpNormalization', 'MeanVarianceNormalization', 'LRN'], like),
  BatchNormalization: likeFirst,
} satisfies Readonly<Record<string, Inference>>
