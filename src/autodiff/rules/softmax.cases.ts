/** @file Gradient cases of Softmax and LogSoftmax. */
import { int } from '../../graph/types.js'
import type { GradientCase } from '../../testing/gradcheck.js'

const dims = { n: 2, m: 3 }

export const softmaxCases: readonly GradientCase[] = (['Softmax', 'LogSoftmax'] as const).flatMap((op) =>
  [-1, 0, 1].map((axis): GradientCase => ({
    name: `${op} along axis ${axis}`,
    dims,
    inputs: { x: { shape: ['n', 2, 'm'], range: [-3, 3] } },
    build: (b, { x }) => b.emit(op, [x!], { axis: int(axis) }),
  })),
)
