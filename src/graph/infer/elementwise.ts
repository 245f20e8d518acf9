/** @file Element types and shapes of operators that work element by element. */
import { ShapeError } from '../../errors.js'
import { dtypeFromOnnx } from '../dtypes.js'
import { broadcastShapes } from '../shapes.js'
import type { DType } from '../types.js'
import { forAll, like, likeFirst, type InferContext, type Inference } from './context.js'

const broadcast: Inference = (c) => [
  { dtype: c.dtype(0), shape: c.inputs.map((_, i) => c.shape(i)).reduce((a, b) => broadcastShapes(a, b, c.where)) },
]

const compare: Inference = (c) => [{ dtype: 'bool', shape: broadcastShapes(c.shape(0), c.shape(1), c.where) }]

const test: Inference = (c) => [{ dtype: 'bool', shape: c.shape(0) }]

function castTo(c: InferContext): DType {
  const to = dtypeFromOnnx(c.int('to', 0))
  if (to === undefined) throw new ShapeError(`${c.where}: unknown element type ${c.int('to', 0)}`)
  return to
}

export const elementwise = {
  // arithmetic and functions
  ...forAll(
    ['Identity', 'Neg', 'Abs', 'Sign', 'Exp', 'Log', 'Sqrt', 'Reciprocal', 'Erf', 'Floor', 'Ceil', 'Round', 'Not', 'BitwiseNot', 'Clip'], // prettier-ignore
    like,
  ),
  ...forAll(['Sin', 'Cos', 'Tan', 'Asin', 'Acos', 'Atan', 'Sinh', 'Cosh', 'Tanh', 'Asinh', 'Acosh', 'Atanh'], like),
  // activations
  ...forAll(['Sigmoid', 'Relu', 'Gelu', 'FastGelu', 'QuickGelu', 'BiasGelu', 'Softplus', 'Softsign', 'Mish', 'Swish', 'Shrink'], like), // prettier-ignore
  ...forAll(['LeakyRelu', 'PRelu', 'Elu', 'Selu', 'Celu', 'ThresholdedRelu', 'HardSigmoid', 'HardSwish', 'BiasAdd'], like),
  ...forAll(
    ['Add', 'Sub', 'Mul', 'Div', 'Pow', 'Min', 'Max', 'Mod', 'And', 'Or', 'Xor', 'BitwiseXor', 'BitwiseAnd', 'BitwiseOr', 'BitShift'], // prettier-ignore
    broadcast,
  ),
  ...forAll(['Sum', 'Mean', 'GatedAdd'], broadcast),
  ...forAll(['Equal', 'Less', 'LessOrEqual', 'Greater', 'GreaterOrEqual'], compare),
  ...forAll(['IsNaN', 'IsInf'], test),
  Where: (c) => [
    { dtype: c.dtype(1), shape: broadcastShapes(broadcastShapes(c.shape(0), c.shape(1), c.where), c.shape(2), c.where) },
  ],
  Cast: (c) => [{ dtype: castTo(c), shape: c.input(0).shape }],
  CastLike: (c) => [{ dtype: c.dtype(1), shape: c.input(0).shape }],
  Dropout: likeFirst,
  // Random numbers and choices: nothing is differentiated behind them.
  ...forAll(['RandomNormalLike', 'RandomUniformLike', 'Bernoulli', 'EyeLike'], like),
} satisfies Readonly<Record<string, Inference>>
