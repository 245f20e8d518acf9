/** @file Gradient cases of pools. */
import { int, ints, string, type Attributes, type Shape } from '../../graph/types.js'
import { windowCount, windowsOf } from '../../graph/windows.js'
import type { GradientCase } from '../../testing/gradcheck.js'
import { pool } from '../../testing/windows.js'

/** Symbolic lengths, also those of what comes out. */
const dims: Readonly<Record<string, number>> = { batch: 2, width: 5, '(floor{(width+-2)/2}+1)': 2 }

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0)

const pooling = (
  op: 'MaxPool' | 'AveragePool',
  name: string,
  x: Shape,
  kernel: readonly number[],
  rest: Attributes = {},
): GradientCase => {
  const attributes = { ...rest, kernel_shape: ints(kernel) }
  const shape = x.map((d) => (typeof d === 'number' ? d : dims[d]!))
  const windows = windowsOf(attributes, shape.slice(2), kernel, name)
  const flag = (key: string): boolean => rest[key]?.type === 'int' && rest[key].value === 1
  const counts = windows.map((w, i) => windowCount(shape[i + 2]!, w, flag('ceil_mode')) as number)
  const f =
    op === 'MaxPool'
      ? (values: number[]) => Math.max(...values)
      : (values: number[], padded: number) => sum(values) / (flag('count_include_pad') ? padded : values.length)
  return {
    name: `${op} ${name}`,
    dims,
    inputs: { x },
    build: (b, { x }) => b.emit(op, [x!], attributes),
    forward: ({ x }) => [pool({ shape, data: x! }, windows, counts, f)],
  }
}

const both = (name: string, x: Shape, kernel: readonly number[], attributes: Attributes = {}): GradientCase[] =>
  (['MaxPool', 'AveragePool'] as const).map((op) => pooling(op, name, x, kernel, attributes))

export const poolingCases: readonly GradientCase[] = [
  ...both('1-D', ['batch', 2, 6], [3]),
  ...both('2-D, strided and padded', ['batch', 2, 5, 4], [3, 2], { strides: ints([2, 2]), pads: ints([1, 0, 1, 1]) }),
  ...both('2-D with ceil_mode', [1, 2, 5, 6], [2, 3], { strides: ints([2, 2]), ceil_mode: int(1) }),
  ...both('2-D of an unknown width', ['batch', 1, 4, 'width'], [2, 2], { strides: ints([2, 2]) }),
  ...both('2-D, padded, of an unknown width', ['batch', 1, 4, 'width'], [3, 3], {
    strides: ints([2, 1]),
    pads: ints([1, 1, 1, 1]),
  }),
  ...both('2-D with auto_pad', [1, 2, 5, 4], [3, 2], { strides: ints([2, 2]), auto_pad: string('SAME_UPPER') }),
  ...both('3-D', [1, 1, 3, 4, 3], [2, 2, 2], { strides: ints([1, 2, 1]) }),
  pooling('MaxPool', 'dilated', [1, 2, 6, 5], [2, 2], { dilations: ints([2, 3]) }),
  pooling('AveragePool', 'that counts the padding', [1, 2, 5, 4], [3, 2], {
    pads: ints([1, 0, 1, 1]),
    strides: ints([2, 2]),
    count_include_pad: int(1),
  }),
  pooling('AveragePool', 'that counts the padding, with ceil_mode', [1, 1, 6, 6], [3, 3], { pads: ints([1, 1, 1, 1]), strides: ints([2, 2]), count_include_pad: int(1), ceil_mode: int(1) }), // prettier-ignore
]
