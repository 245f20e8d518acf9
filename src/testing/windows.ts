/** @file Convolutions and pools of any rank in plain loops over float64 numbers: the reference of their gradients. */
import { elementCount } from '../graph/types.js'
import type { Window } from '../graph/windows.js'

export interface Array64 {
  readonly shape: readonly number[]
  readonly data: readonly number[]
}

/** Index vectors of a shape, row-major. */
function* indices(shape: readonly number[]): Generator<number[]> {
  const index = shape.map(() => 0)
  for (let i = 0; i < elementCount(shape); i++) {
    yield [...index]
    for (let d = shape.length - 1; d >= 0 && ++index[d]! === shape[d]; d--) index[d] = 0
  }
}

const flat = (index: readonly number[], shape: readonly number[]): number => index.reduce((at, k, d) => at * shape[d]! + k, 0)

/** Position in the input that element `k` of the window at `at` covers, undefined in the padding. */
function covered(
  at: readonly number[],
  k: readonly number[],
  windows: readonly Window[],
  lengths: readonly number[],
): number[] | undefined {
  const place = windows.map((w, i) => at[i]! * w.stride - w.padBefore + k[i]! * w.dilation)
  return place.every((p, i) => p >= 0 && p < lengths[i]!) ? place : undefined
}

/** x [n, c, ...], w [m, c/groups, ...kernel], bias [m] or none, to [n, m, ...counts]. */
export function convolve(
  x: Array64,
  w: Array64,
  bias: readonly number[] | undefined,
  windows: readonly Window[],
  groups: number,
  counts: readonly number[],
): number[] {
  const [n, , ...lengths] = x.shape
  const [m, perGroup, ...kernel] = w.shape
  const result: number[] = []
  for (const [image, out, ...at] of indices([n!, m!, ...counts])) {
    let sum = bias?.[out!] ?? 0
    const first = Math.floor((out! * groups) / m!) * perGroup!
    for (const [channel, ...k] of indices([perGroup!, ...kernel])) {
      const place = covered(at, k, windows, lengths)
      if (place !== undefined)
        sum += x.data[flat([image!, first + channel!, ...place], x.shape)]! * w.data[flat([out!, channel!, ...k], w.shape)]!
    }
    result.push(sum)
  }
  return result
}

/** The transposed convolution: x [n, m, ...], w [m, c/groups, ...kernel], to [n, c, ...lengths]. */
export function convolveBack(
  x: Array64,
  w: Array64,
  windows: readonly Window[],
  groups: number,
  lengths: readonly number[],
): number[] {
  const [n, m, ...counts] = x.shape
  const [, perGroup, ...kernel] = w.shape
  const shape = [n!, perGroup! * groups, ...lengths]
  const result = new Array<number>(elementCount(shape)).fill(0)
  for (const [image, out, ...at] of indices([n!, m!, ...counts]))
    for (const [channel, ...k] of indices([perGroup!, ...kernel])) {
      const place = covered(at, k, windows, lengths)
      if (place === undefined) continue
      const first = Math.floor((out! * groups) / m!) * perGroup!
      result[flat([image!, first + channel!, ...place], shape)]! +=
        x.data[flat([image!, out!, ...at], x.shape)]! * w.data[flat([out!, channel!, ...k], w.shape)]!
    }
  return result
}

/** Each window of each channel by a function of its elements and their number within the input and within the padded input. */
export function pool(
  x: Array64,
  windows: readonly Window[],
  counts: readonly number[],
  f: (values: number[], padded: number) => number,
): number[] {
  const [n, channels, ...lengths] = x.shape
  const result: number[] = []
  for (const [image, channel, ...at] of indices([n!, channels!, ...counts])) {
    const values: number[] = []
    let padded = 0
    for (const k of indices(windows.map((w) => w.kernel))) {
      const place = covered(at, k, windows, lengths)
      if (place !== undefined) values.push(x.data[flat([image!, channel!, ...place], x.shape)]!)
      if (windows.every((w, i) => at[i]! * w.stride + k[i]! * w.dilation < lengths[i]! + w.padBefore + w.padAfter)) padded++
    }
    result.push(f(values, padded))
  }
  return result
}
