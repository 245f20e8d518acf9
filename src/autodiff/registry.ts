/** @file All built-in gradient rules. A new op is one declaration in `rules/<family>.ts`. */
import type { GradientRule } from './rule.js'
import * as activation from './rules/activation.js'
import * as convolution from './rules/convolution.js'
import * as elementwise from './rules/elementwise.js'
import * as indexing from './rules/indexing.js'
import * as matmul from './rules/matmul.js'
import * as movement from './rules/movement.js'
import { nondifferentiable } from './rules/nondifferentiable.js'
import * as normalization from './rules/normalization.js'
import * as pooling from './rules/pooling.js'
import * as quantized from './rules/quantized.js'
import * as recurrent from './rules/recurrent.js'
import * as reduction from './rules/reduction.js'
import * as softmax from './rules/softmax.js'

/** Every gradient rule of lowrank; the page of operators lists them. */
export const builtinRules: readonly GradientRule[] = [
  ...[activation, elementwise, indexing, matmul, movement, normalization, recurrent, reduction, softmax].flatMap(
    (family): GradientRule[] => Object.values(family),
  ),
  ...[convolution.conv, convolution.convTranspose, pooling.maxPool, pooling.averagePool, quantized.matMulNBits],
  ...nondifferentiable,
]
