/** @file Gradient cases of reductions. */
import type { InputSpec } from '../../testing/gradcheck.js'
import type { EmittableName } from '../../graph/allowed-ops.js'
import { int } from '../../graph/types.js'
import type { GradientCase } from '../../testing/gradcheck.js'

type ReduceName = Extract<EmittableName, `Reduce${string}`>

const dims = { n: 2, m: 3 }

/** Each reduction over an axis in both forms, over several, and over all. */
const reduction = (op: ReduceName, x: InputSpec): GradientCase[] => [
  ...[0, 1].map((keepdims) => ({
    name: `${op} keepdims=${keepdims}`,
    dims,
    inputs: { x },
    build: ((b, { x }) => b.emit(op, [x!, b.int64s([-1])], { keepdims: int(keepdims) })) as GradientCase['build'],
  })),
  {
    name: `${op} of two axes`,
    dims,
    inputs: { x },
    build: (b, { x }) => b.emit(op, [x!, b.int64s([0, 2])], { keepdims: int(0) }),
  },
  { name: `${op} of all`, dims, inputs: { x }, build: (b, { x }) => b.emit(op, [x!], { keepdims: int(0) }) },
]

const x: InputSpec = { shape: ['n', 2, 'm'] }

export const reductionCases: readonly GradientCase[] = [
  ...(['ReduceSum', 'ReduceMean', 'ReduceMax', 'ReduceMin'] as const).flatMap((op) => reduction(op, x)),
  ...(['ReduceSumSquare', 'ReduceL2', 'ReduceLogSumExp', 'ReduceProd'] as const).flatMap((op) => reduction(op, x)),
  {
    name: 'ReduceSum of no axes',
    inputs: { x: [2, 3] },
    build: (b, { x }) => b.mul(b.emit('ReduceSum', [x!, b.int64s([])], { noop_with_empty_axes: int(1) }), 3),
  },
  {
    name: 'ReduceProd beside one zero and two',
    inputs: { x: { shape: [3, 3], values: [2, 0, 3, 0, 0, 5, 1, 2, 3] } },
    build: (b, { x }) => b.emit('ReduceProd', [x!, b.int64s([1])]),
  },
  ...[0, 1].flatMap((exclusive) =>
    [0, 1].map((reverse): GradientCase => ({
      name: `CumSum exclusive=${exclusive} reverse=${reverse}`,
      dims,
      inputs: { x: ['n', 4] },
      build: (b, { x }) => b.emit('CumSum', [x!, b.scalar(1, 'int64')], { exclusive: int(exclusive), reverse: int(reverse) }),
    })),
  ),
]
