/** @file Gradient cases of operators that move elements. */
import type { GraphBuilder } from '../../graph/builder.js'
import { int, type Shape, type Value } from '../../graph/types.js'
import type { GradientCase } from '../../testing/gradcheck.js'

const dims = { n: 2, m: 3, k: 5, 'k-1': 4, 'n+1': 3, 'n+k+m': 10, 'slice_of_k_start@0_end@0_1': 3 }
const END = 2 ** 31 - 1

interface SliceSpec {
  readonly starts: readonly number[]
  readonly ends: readonly number[]
  readonly axes: readonly number[]
  readonly steps?: readonly number[]
}

const sliceBy = (b: GraphBuilder, x: Value, { starts, ends, axes, steps }: SliceSpec, shape?: Shape): Value =>
  b.emit(
    'Slice',
    [x, b.int64s(starts), b.int64s(ends), b.int64s(axes), steps && b.int64s(steps)],
    {},
    shape ? { shapes: [shape] } : {},
  )

const slice = (name: string, x: Shape, spec: SliceSpec, shape?: Shape): GradientCase => ({
  name: `Slice ${name}`,
  dims,
  inputs: { x },
  build: (b, { x }) => sliceBy(b, x!, spec, shape),
})

const pad = (name: string, x: Shape, pads: readonly number[], shape?: Shape): GradientCase => ({
  name: `Pad ${name}`,
  dims,
  inputs: { x, fill: [] },
  build: (b, { x, fill }) => b.emit('Pad', [x!, b.int64s(pads), fill!], {}, shape ? { shapes: [shape] } : {}),
})

export const movementCases: readonly GradientCase[] = [
  { name: 'Reshape', inputs: { x: [2, 6] }, build: (b, { x }) => b.reshape(x!, [3, 4]) },
  { name: 'Reshape of symbolic shapes', dims, inputs: { x: ['n', 'm', 4] }, build: (b, { x }) => b.reshape(x!, ['m*n', 4]) },
  { name: 'Flatten', inputs: { x: [2, 3, 2] }, build: (b, { x }) => b.emit('Flatten', [x!], { axis: int(2) }) },
  { name: 'Squeeze', dims, inputs: { x: ['n', 1, 3, 1] }, build: (b, { x }) => b.squeeze(x!, [1, -1]) },
  { name: 'Squeeze without axes', inputs: { x: [2, 1, 3] }, build: (b, { x }) => b.emit('Squeeze', [x!]) },
  { name: 'Unsqueeze', dims, inputs: { x: ['n', 3] }, build: (b, { x }) => b.unsqueeze(x!, [0, 2]) },
  { name: 'Transpose', dims, inputs: { x: ['n', 'm', 2, 2] }, build: (b, { x }) => b.transpose(x!, [2, 0, 3, 1]) },
  { name: 'Transpose reversed by default', inputs: { x: [2, 3, 2] }, build: (b, { x }) => b.emit('Transpose', [x!]) },
  { name: 'Expand', inputs: { x: [3, 1] }, build: (b, { x }) => b.expand(x!, [2, 3, 4]) },
  {
    name: 'Expand broadcasts to a run-time shape',
    dims,
    inputs: { x: ['n', 1, 3] },
    build: (b, { x }) => b.expand(x!, ['n', 4, 3]),
  },
  { name: 'Concat', inputs: { u: [2, 1], v: [2, 3] }, build: (b, { u, v }) => b.concat([u!, v!], -1) },
  {
    name: 'Concat of symbolic parts, one without a gradient',
    dims,
    inputs: { u: ['n', 2], v: { shape: ['k', 2], differentiate: false }, w: ['m', 2] },
    build: (b, { u, v, w }) => b.concat([u!, v!, w!], 0),
  },
  { name: 'Concat of one', inputs: { u: [2, 1] }, build: (b, { u }) => b.emit('Concat', [u!], { axis: int(0) }) },
  { name: 'Split', dims, inputs: { x: ['n', 6] }, build: (b, { x }) => b.split(x!, [1, 3, 2], 1) },
  { name: 'Split with missing gradients', dims, inputs: { x: ['n', 6] }, build: (b, { x }) => b.split(x!, [1, 3, 2], -1)[1]! },
  {
    name: 'Split in equal parts',
    inputs: { x: [4, 2] },
    build: (b, { x }) => b.emitAll('Split', [x!], { axis: int(0), num_outputs: int(2) }, { outputs: 2 }),
  },
  slice('in the middle', [5, 4], { starts: [1], ends: [-1], axes: [0] }),
  slice('of two axes', [5, 4], { starts: [1, -2], ends: [3, 100], axes: [-1, 0] }),
  slice('beyond the ends', [3], { starts: [-10], ends: [10], axes: [0] }),
  slice('that is empty', [3, 2], { starts: [2], ends: [1], axes: [0] }),
  slice('with steps', [7, 3], { starts: [1], ends: [6], axes: [0], steps: [2] }),
  slice('backwards', [5, 3], { starts: [-1, 0], ends: [-100, 3], axes: [0, 1], steps: [-1, 2] }),
  slice('from 1 of a symbolic axis', [2, 'k'], { starts: [1], ends: [END], axes: [1] }, [2, 'k-1']),
  slice('before the last of a symbolic axis', ['k', 2], { starts: [0], ends: [-1], axes: [0] }, ['k-1', 2]),
  slice('the last of a symbolic axis', ['k', 2], { starts: [-1], ends: [END], axes: [0] }, [1, 2]),
  slice('the first of a symbolic axis', ['k', 2], { starts: [0], ends: [3], axes: [0] }, [3, 2]),
  slice('a symbolic axis backwards', ['k', 2], { starts: [-1], ends: [-END], axes: [0], steps: [-1] }, ['k', 2]),
  {
    name: 'Slice at bounds known at the run',
    dims,
    inputs: {
      x: ['k', 3],
      start: { shape: [1], dtype: 'int64', values: [1] },
      end: { shape: [1], dtype: 'int64', values: [4] },
    },
    build: (b, { x, start, end }) => b.emit('Slice', [x!, start!, end!, b.int64s([0])]),
  },
  pad('both sides', [2, 3], [1, 0, 2, 1]),
  pad('negative, which cuts off', [4, 3], [-1, 1, -1, 0]),
  pad('of a symbolic axis', ['n', 3], [1, 0, 0, 0]),
  {
    name: 'Pad by amounts known at the run, some axes',
    inputs: { x: [2, 3], pads: { shape: [2], dtype: 'int64', values: [1, 2] } },
    build: (b, { x, pads }) => b.emit('Pad', [x!, pads!, undefined, b.int64s([1])], {}, { shapes: [[2, 6]] }),
  },
  { name: 'Tile', inputs: { x: [2, 3] }, build: (b, { x }) => b.emit('Tile', [x!, b.int64s([2, 3])]) },
  { name: 'Tile of a symbolic axis', dims, inputs: { x: ['n', 3] }, build: (b, { x }) => b.emit('Tile', [x!, b.int64s([1, 2])]) },
  {
    name: 'Tile by repeats known at the run',
    dims,
    inputs: { x: ['n', 3], repeats: { shape: [2], dtype: 'int64', values: [2, 3] } },
    build: (b, { x, repeats }) => b.emit('Tile', [x!, repeats!], {}, { shapes: [['n*2', 9]] }),
  },
  { name: 'Trilu lower', inputs: { x: [3, 4] }, build: (b, { x }) => b.emit('Trilu', [x!], { upper: int(0) }) },
  {
    name: 'Trilu upper, shifted',
    dims,
    inputs: { x: ['n', 3, 3] },
    build: (b, { x }) => b.emit('Trilu', [x!, b.scalar(1, 'int64')]),
  },
]
