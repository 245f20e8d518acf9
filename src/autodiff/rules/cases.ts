/** @file All gradient cases: the table that the meta-test holds against the registered rules. */
import type { GradientCase } from '../../testing/gradcheck.js'
import { activationCases } from './activation.cases.js'
import { convolutionCases } from './convolution.cases.js'
import { elementwiseCases } from './elementwise.cases.js'
import { indexingCases } from './indexing.cases.js'
import { matmulCases } from './matmul.cases.js'
import { movementCases } from './movement.cases.js'
import { normalizationCases } from './normalization.cases.js'
import { poolingCases } from './pooling.cases.js'
import { quantizedCases } from './quantized.cases.js'
import { recurrentCases } from './recurrent.cases.js'
import { reductionCases } from './reduction.cases.js'
import { softmaxCases } from './softmax.cases.js'

export const gradientCases: Readonly<Record<string, readonly GradientCase[]>> = {
  activation: activationCases,
  convolution: convolutionCases,
  elementwise: elementwiseCases,
  indexing: indexingCases,
  matmul: matmulCases,
  movement: movementCases,
  normalization: normalizationCases,
  pooling: poolingCases,
  quantized: quantizedCases,
  recurrent: recurrentCases,
  reduction: reductionCases,
  softmax: softmaxCases,
}
