/** @file Gradient cases of convolutions. */
import { int, ints, string, type Attributes, type Shape } from '../../graph/types.js'
import { windowCount, windowsOf } from '../../graph/windows.js'
import type { GradientCase } from '../../testing/gradcheck.js'
import { convolve, convolveBack } from '../../testing/windows.js'

/** Symbolic lengths, also those of what comes out. */
const dims: Readonly<Record<string, number>> = { batch: 2, width: 6, '(floor{(width+-2)/2}+1)': 3, '(floor{(width+-1)/2}+1)': 3 }

const sizes = (shape: Shape): number[] => shape.map((d) => (typeof d === 'number' ? d : dims[d]!))

const conv = (name: string, x: Shape, w: Shape, attributes: Attributes = {}, bias = false): GradientCase => {
  const [xs, ws] = [sizes(x), sizes(w)]
  const windows = windowsOf(attributes, xs.slice(2), ws.slice(2), name)
  const counts = windows.map((window, i) => windowCount(xs[i + 2]!, window) as number)
  const groups = attributes['group']?.type === 'int' ? attributes['group'].value : 1
  return {
    name: `Conv ${name}`,
    dims,
    inputs: { x, w, ...(bias && { bias: [w[0]!] }) },
    build: (b, { x, w, bias }) => b.emit('Conv', [x!, w!, bias], attributes),
    forward: ({ x, w, bias }) => [convolve({ shape: xs, data: x! }, { shape: ws, data: w! }, bias, windows, groups, counts)],
  }
}

const transposed = (
  name: string,
  x: Shape,
  w: Shape,
  attributes: Attributes,
  outputPadding: readonly number[] = [],
): GradientCase => {
  const [xs, ws] = [sizes(x), sizes(w)]
  const windows = windowsOf(attributes, xs.slice(2), ws.slice(2), name)
  const lengths = windows.map(
    (v, i) => (xs[i + 2]! - 1) * v.stride + v.dilation * (v.kernel - 1) + 1 - v.padBefore - v.padAfter + (outputPadding[i] ?? 0),
  )
  const groups = attributes['group']?.type === 'int' ? attributes['group'].value : 1
  return {
    name: `ConvTranspose ${name}`,
    dims,
    inputs: { x, w },
    build: (b, { x, w }) => b.emit('ConvTranspose', [x!, w!], { ...attributes, ...(outputPadding.length > 0 && { output_padding: ints(outputPadding) }) }), // prettier-ignore
    forward: ({ x, w }) => [convolveBack({ shape: xs, data: x! }, { shape: ws, data: w! }, windows, groups, lengths)],
  }
}

export const convolutionCases: readonly GradientCase[] = [
  conv('1-D', ['batch', 2, 5], [3, 2, 3], {}, true),
  conv('1-D with a stride that leaves a rest', [2, 2, 8], [3, 2, 3], { strides: ints([3]), pads: ints([1, 0]) }),
  conv('1-D, dilated, of an unknown length', ['batch', 2, 'width'], [3, 2, 3], { dilations: ints([2]), pads: ints([2, 2]) }),
  conv('1-D, strided, of an unknown length', ['batch', 2, 'width'], [2, 2, 3], { strides: ints([2]), pads: ints([1, 0]) }),
  conv('2-D', [2, 2, 4, 3], [3, 2, 2, 3], { pads: ints([1, 0, 0, 2]) }, true),
  conv(
    '2-D in groups, strided and padded',
    ['batch', 4, 5, 4],
    [6, 2, 3, 3],
    { group: int(2), strides: ints([2, 1]), pads: ints([1, 1, 1, 1]) },
    true,
  ),
  conv('2-D by channel', ['batch', 3, 4, 4], [3, 1, 3, 3], { group: int(3), strides: ints([2, 2]), pads: ints([1, 1, 1, 1]) }),
  conv('2-D, strided and dilated', [2, 2, 7, 8], [2, 2, 3, 2], {
    strides: ints([2, 3]),
    dilations: ints([2, 3]),
    pads: ints([0, 1, 2, 0]),
  }),
  conv('2-D, strided, in groups, of unknown lengths', ['batch', 2, 'width', 'width'], [2, 1, 3, 3], {
    group: int(2),
    strides: ints([2, 2]),
    pads: ints([1, 1, 1, 1]),
  }),
  conv('2-D with auto_pad SAME_UPPER', [1, 2, 5, 4], [2, 2, 3, 2], { auto_pad: string('SAME_UPPER'), strides: ints([2, 1]) }),
  conv('2-D with auto_pad SAME_LOWER', [1, 1, 'width', 4], [2, 1, 2, 2], { auto_pad: string('SAME_LOWER') }),
  conv('2-D with auto_pad VALID', [1, 2, 4, 4], [2, 2, 3, 2], { auto_pad: string('VALID') }),
  conv('2-D with a kernel of 1', ['batch', 3, 2, 3], [4, 3, 1, 1]),
  conv('3-D', [1, 2, 3, 4, 3], [2, 2, 2, 2, 2], { strides: ints([1, 2, 1]), pads: ints([0, 1, 0, 1, 0, 0]) }, true),
  conv('3-D in groups', [1, 2, 3, 3, 3], [2, 1, 2, 2, 2], { group: int(2), dilations: ints([1, 2, 1]) }),
  transposed('1-D', ['batch', 2, 4], [2, 3, 3], { strides: ints([2]), pads: ints([1, 0]) }, [1]),
  transposed('2-D in groups', ['batch', 4, 3, 2], [4, 2, 2, 3], {
    group: int(2),
    strides: ints([2, 2]),
    pads: ints([0, 1, 1, 0]),
  }),
  transposed('2-D dilated', [1, 2, 3, 3], [2, 2, 2, 2], { dilations: ints([2, 1]) }),
]
