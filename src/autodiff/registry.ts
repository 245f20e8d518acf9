/** @file All built-in gradient rules. A new op is one declaration in `rules/<family>.ts`. */
import type { EmittableName } from '../graph/allowed-ops.js'
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

/** Exports of a file that are rules. */
const rulesOf = <Family extends object>(family: Family): Extract<Family[keyof Family], GradientRule>[] =>
  Object.values(family).filter((declared) => typeof declared === 'object' && 'gradient' in declared)

const rules = [
  ...rulesOf(activation),
  ...rulesOf(convolution),
  ...rulesOf(elementwise),
  ...rulesOf(indexing),
  ...rulesOf(matmul),
  ...rulesOf(movement),
  ...rulesOf(normalization),
  ...rulesOf(pooling),
  ...rulesOf(quantized),
  ...rulesOf(recurrent),
  ...rulesOf(reduction),
  ...rulesOf(softmax),
  ...nondifferentiable,
]

/** Reads of weights in few bits, which are frozen: whatever asks for their gradient is told that there is none. */
type Frozen = 'DequantizeLinear' | 'GatherBlockQuantized' | 'MatMulIntegerToFloat'

/** An operator that may be emitted has a rule, or this does not compile: what a graph holds, it can be trained through. */
type Undeclared = Exclude<EmittableName, (typeof rules)[number]['op'] | Frozen>

/** Every gradient rule of lowrank; the page of operators lists them. */
export const builtinRules: readonly GradientRule[] = rules satisfies [Undeclared] extends [never] ? unknown : Undeclared
