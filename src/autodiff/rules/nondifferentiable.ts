/** @file Operators that pass no gradient: their results are integers, booleans, shapes or steps. */
import { noGradient } from '../rule.js'

const ops = [
  // shapes and constants
  ...['Shape', 'Size', 'Range', 'ConstantOfShape', 'Constant', 'EyeLike', 'OneHot', 'NonZero'],
  // comparisons and logic
  ...['Equal', 'Less', 'LessOrEqual', 'Greater', 'GreaterOrEqual', 'And', 'Or', 'Xor', 'Not', 'IsNaN', 'IsInf'],
  // bits
  ...['BitwiseAnd', 'BitwiseOr', 'BitwiseXor', 'BitwiseNot', 'BitShift'],
  // steps: the derivative is zero wherever it exists
  ...['Sign', 'Floor', 'Ceil', 'Round', 'ArgMax', 'ArgMin', 'Hardmax'],
  // integers that stand for numbers; straight through them the lowering of quantised graphs leads
  ...['QuantizeLinear', 'DynamicQuantizeLinear', 'MatMulInteger', 'ConvInteger'],
  // random numbers and choices
  ...['RandomNormalLike', 'RandomUniformLike', 'Bernoulli', 'NonMaxSuppression', 'Unique'],
] as const

export const nondifferentiable = ops.map((op) => noGradient<(typeof ops)[number]>(op))
