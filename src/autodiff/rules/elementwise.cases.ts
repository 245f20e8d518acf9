/** @file Gradient cases of element-wise arithmetic. */
import { int } from '../../graph/types.js'
import type { GradientCase } from '../../testing/gradcheck.js'
import { erf } from '../../testing/erf.js'

const positive = { shape: [2, 3], range: [0.5, 2] } as const
const away = { shape: [2, 3], values: [-1.5, -0.75, -0.5, 0.5, 0.75, 1.5] }

export const elementwiseCases: readonly GradientCase[] = [
  { name: 'Add', inputs: { u: [2, 3], v: [2, 3] }, build: (b, { u, v }) => b.add(u!, v!) },
  { name: 'Add broadcasts a row', inputs: { u: [2, 3], v: [3] }, build: (b, { u, v }) => b.add(u!, v!) },
  { name: 'Add broadcasts both', inputs: { u: [2, 1], v: [1, 3] }, build: (b, { u, v }) => b.add(u!, v!) },
  {
    name: 'Add of a symbolic batch',
    dims: { n: 2 },
    inputs: { u: ['n', 3], v: ['n', 1] },
    build: (b, { u, v }) => b.add(u!, v!),
  },
  { name: 'Sub', inputs: { u: [2, 3], v: [2, 3] }, build: (b, { u, v }) => b.sub(u!, v!) },
  { name: 'Sub broadcasts', inputs: { u: [3], v: [2, 1] }, build: (b, { u, v }) => b.sub(u!, v!) },
  { name: 'Mul', inputs: { u: [2, 3], v: [2, 3] }, build: (b, { u, v }) => b.mul(u!, v!) },
  { name: 'Mul broadcasts a scalar', inputs: { u: [2, 3], v: [] }, build: (b, { u, v }) => b.mul(u!, v!) },
  {
    name: 'Mul of symbolic shapes',
    dims: { n: 2, m: 3 },
    inputs: { u: ['n', 'm'], v: ['m'] },
    build: (b, { u, v }) => b.mul(u!, v!),
  },
  { name: 'Div', inputs: { u: [2, 3], v: away }, build: (b, { u, v }) => b.div(u!, v!) },
  { name: 'Div broadcasts', inputs: { u: [4, 1], v: { shape: [3], range: [0.5, 2] } }, build: (b, { u, v }) => b.div(u!, v!) },
  { name: 'Neg', inputs: { x: [2, 3] }, build: (b, { x }) => b.neg(x!) },
  { name: 'Abs', inputs: { x: away }, build: (b, { x }) => b.abs(x!) },
  { name: 'Exp', inputs: { x: [2, 3] }, build: (b, { x }) => b.exp(x!) },
  { name: 'Log', inputs: { x: positive }, build: (b, { x }) => b.log(x!) },
  { name: 'Sqrt', inputs: { x: positive }, build: (b, { x }) => b.sqrt(x!) },
  { name: 'Reciprocal', inputs: { x: away }, build: (b, { x }) => b.reciprocal(x!) },
  { name: 'Pow', inputs: { u: positive, v: [2, 3] }, build: (b, { u, v }) => b.pow(u!, v!) },
  { name: 'Pow broadcasts', inputs: { u: positive, v: [2, 1] }, build: (b, { u, v }) => b.pow(u!, v!) },
  { name: 'Pow of negatives by a constant', inputs: { u: away }, build: (b, { u }) => b.pow(u!, 3) },
  { name: 'Sin', inputs: { x: [2, 3] }, build: (b, { x }) => b.sin(x!) },
  { name: 'Cos', inputs: { x: [2, 3] }, build: (b, { x }) => b.cos(x!) },
  { name: 'Erf', inputs: { x: [2, 3] }, build: (b, { x }) => b.erf(x!), forward: ({ x }) => [x!.map(erf)] },
  {
    name: 'Where',
    inputs: { c: { shape: [2, 3], dtype: 'bool', values: [1, 0, 1, 0, 0, 1] }, u: [2, 3], v: [2, 3] },
    build: (b, { c, u, v }) => b.where(c!, u!, v!),
  },
  {
    name: 'Where broadcasts',
    inputs: { c: { shape: [2, 1], dtype: 'bool', values: [1, 0] }, u: [3], v: [] },
    build: (b, { c, u, v }) => b.where(c!, u!, v!),
  },
  {
    name: 'Cast to float64 and back',
    inputs: { x: [4] },
    build: (b, { x }) => b.cast(b.mul(b.cast(x!, 'float64'), 2), x!.dtype),
  },
  { name: 'Identity', inputs: { x: [2, 3] }, build: (b, { x }) => b.mul(b.emit('Identity', [x!]), 2) },
  {
    name: 'Clip',
    inputs: { x: away },
    build: (b, { x }) => b.emit('Clip', [x!, b.scalar(-0.6, x!.dtype), b.scalar(1, x!.dtype)]),
  },
  { name: 'Clip from below', inputs: { x: away }, build: (b, { x }) => b.emit('Clip', [x!, b.scalar(-0.6, x!.dtype)]) },
  { name: 'Clip without bounds', inputs: { x: away }, build: (b, { x }) => b.emit('Clip', [x!]) },
  { name: 'Min', inputs: { u: [2, 3], v: [2, 3] }, build: (b, { u, v }) => b.min(u!, v!) },
  { name: 'Min broadcasts', inputs: { u: [2, 3], v: [2, 1] }, build: (b, { u, v }) => b.min(u!, v!) },
  { name: 'Max', inputs: { u: [2, 3], v: [2, 3] }, build: (b, { u, v }) => b.max(u!, v!) },
  { name: 'Max broadcasts', inputs: { u: [3], v: [2, 1] }, build: (b, { u, v }) => b.max(u!, v!) },
  // At a tie of two the central difference is one half, as is our share.
  {
    name: 'Max of ties',
    inputs: { u: { shape: [3], values: [1, 2, 3] }, v: { shape: [3], values: [1, 2.5, 3] } },
    build: (b, { u, v }) => b.max(u!, v!),
  },
  { name: 'Max of three', inputs: { u: [4], v: [4], w: [4] }, build: (b, { u, v, w }) => b.emit('Max', [u!, v!, w!]) },
  { name: 'Max of one', inputs: { u: [4] }, build: (b, { u }) => b.emit('Max', [u!]) },
  {
    name: 'Mod',
    inputs: { x: { shape: [4], values: [-2.3, 1.7, 5.2, -0.4] }, m: { shape: [4], values: [1.5, 0.6, 2, 1] } },
    build: (b, { x, m }) => b.emit('Mod', [x!, m!], { fmod: int(1) }),
    forward: ({ x, m }) => [x!.map((v, i) => v % m![i]!)],
  },
  {
    name: 'Mod broadcasts',
    inputs: { x: { shape: [2, 2], values: [-2.3, 1.7, 5.2, -0.4] }, m: { shape: [], values: [1.5] } },
    build: (b, { x, m }) => b.emit('Mod', [x!, m!], { fmod: int(1) }),
    forward: ({ x, m }) => [x!.map((v) => v % m![0]!)],
  },
  ...(['Asin', 'Acos', 'Atan'] as const).map((op): GradientCase => ({
    name: op,
    inputs: { x: { shape: [2, 3], range: [-0.8, 0.8] } },
    build: (b, { x }) => b.emit(op, [x!]),
    forward: ({ x }) => [x!.map(Math[op.toLowerCase() as 'asin' | 'acos' | 'atan'])],
  })),
]
