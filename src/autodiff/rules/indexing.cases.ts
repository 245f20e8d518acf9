/** @file Gradient cases of reading and writing at indices. */
import { int, string, type Shape } from '../../graph/types.js'
import type { GradientCase } from '../../testing/gradcheck.js'

const dims = { n: 2, m: 3, k: 4 }
const int64 = (shape: Shape, values: readonly number[]) => ({ shape, dtype: 'int64', values }) as const

const gather = (
  name: string,
  data: Shape,
  indices: Shape,
  values: readonly number[],
  axis: number,
  dtype: 'int64' | 'int32' = 'int64',
): GradientCase => ({
  name: `Gather ${name}`,
  dims,
  inputs: { data, indices: { shape: indices, dtype, values } },
  build: (b, { data, indices }) => b.gather(data!, indices!, axis),
})

const scatterElements = (name: string, values: readonly number[], reduction?: string): GradientCase => ({
  name: `ScatterElements ${name}`,
  inputs: { data: [2, 3], indices: int64([2, 2], values), updates: [2, 2] },
  build: (b, { data, indices, updates }) =>
    b.emit('ScatterElements', [data!, indices!, updates!], { axis: int(1), ...(reduction && { reduction: string(reduction) }) }),
})

export const indexingCases: readonly GradientCase[] = [
  gather('rows, repeated and negative', [4, 2], ['n', 'm'], [0, 2, 0, -1, 3, 0], 0),
  gather('with int32 indices', [4, 2], [3], [1, 1, -4], 0, 'int32'),
  gather('of a symbolic axis', ['k', 2], ['m'], [1, -1, 3], 0),
  gather('along the last axis', ['n', 4], [3], [2, -3, 2], -1),
  gather('along a middle axis', ['n', 3, 2], [2, 2], [0, 1, 1, -1], 1),
  gather('with an index of rank 0', ['n', 3, 2], [], [1], 1),
  {
    name: 'Gather at a constant',
    dims,
    inputs: { data: ['n', 3, 2] },
    build: (b, { data }) => b.gather(data!, b.scalar(1, 'int64'), 1),
  },
  {
    name: 'Gather the last of a symbolic axis',
    dims,
    inputs: { data: [2, 'k', 2] },
    build: (b, { data }) => b.gather(data!, b.scalar(-1, 'int64'), 1),
  },
  { name: 'Gather at constants', inputs: { data: [4, 2] }, build: (b, { data }) => b.gather(data!, b.int64s([3, 0, 3])) },
  {
    name: 'GatherElements, repeated and negative',
    inputs: { data: [3, 3], indices: int64([2, 3], [0, 0, -1, 2, 2, 2]) },
    build: (b, { data, indices }) => b.emit('GatherElements', [data!, indices!], { axis: int(1) }),
  },
  {
    name: 'GatherND, repeated and negative',
    dims,
    inputs: { data: ['k', 3, 2], indices: int64(['m', 2], [0, 1, -1, -1, 0, 1]) },
    build: (b, { data, indices }) => b.emit('GatherND', [data!, indices!]),
  },
  {
    name: 'GatherND in batches',
    dims,
    inputs: { data: ['n', 4, 2], indices: int64(['n', 'm', 1], [0, 1, 1, -1, 2, 0]) },
    build: (b, { data, indices }) => b.emit('GatherND', [data!, indices!], { batch_dims: int(1) }),
  },
  {
    name: 'ScatterND',
    dims,
    inputs: { data: ['k', 2], indices: int64(['n', 1], [2, 0]), updates: ['n', 2] },
    build: (b, { data, indices, updates }) => b.emit('ScatterND', [data!, indices!, updates!]),
  },
  {
    name: 'ScatterND that adds',
    inputs: { data: [4, 2], indices: int64([3, 1], [2, 0, 2]), updates: [3, 2] },
    build: (b, { data, indices, updates }) => b.emit('ScatterND', [data!, indices!, updates!], { reduction: string('add') }),
  },
  ...['mul', 'max', 'min'].map((reduction): GradientCase => ({
    name: `ScatterND, ${reduction}`,
    inputs: {
      data: { shape: [4, 2], range: [0.5, 2] },
      indices: int64([3, 1], [2, 0, 2]),
      updates: { shape: [3, 2], range: [0.5, 2] },
    },
    build: (b, { data, indices, updates }) => b.emit('ScatterND', [data!, indices!, updates!], { reduction: string(reduction) }),
  })),
  {
    name: 'TopK',
    dims,
    inputs: { x: ['n', 5] },
    build: (b, { x }) => b.emitAll('TopK', [x!, b.int64s([3])], { axis: int(1) }, { outputs: 2 })[0]!,
  },
  {
    name: 'TopK, smallest first, along the first axis',
    inputs: { x: [5, 3] },
    build: (b, { x }) => b.emitAll('TopK', [x!, b.int64s([2])], { axis: int(0), largest: int(0) }, { outputs: 2 })[0]!,
  },
  scatterElements('', [0, 2, 1, 0]),
  ...['mul', 'max', 'min'].map((reduction) => scatterElements(`, ${reduction}`, [0, 0, 1, 1], reduction)),
  scatterElements('that adds', [0, 0, 1, 1], 'add'),
]
