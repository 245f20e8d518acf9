/** @file Geometry of convolutions and pools: kernel, strides, dilations and explicit pads, whatever form a node gives them in. */
import { ShapeError } from '../errors.js'
import { integersAttribute, textAttribute } from './attributes.js'
import { addDims, floorDivideDims } from './dim/index.js'
import type { Attributes, Dim, Shape } from './types.js'

/** One spatial axis. */
export interface Window {
  readonly kernel: number
  readonly stride: number
  readonly dilation: number
  readonly padBefore: number
  readonly padAfter: number
}

/**
 * The windows of a Conv or pool node, `auto_pad` resolved.
 * @param spatial lengths of the spatial axes of the input
 * @param kernel lengths of the kernel
 * @throws ShapeError where `auto_pad` depends on a length known at the run only
 */
export function windowsOf(attributes: Attributes, spatial: Shape, kernel: readonly Dim[], where: string): Window[] {
  const list = (name: string): readonly number[] | undefined => integersAttribute({ attributes }, name)
  const mode = textAttribute({ attributes }, 'auto_pad', 'NOTSET')
  const rank = spatial.length
  return spatial.map((length, i) => {
    const size = kernel[i]
    if (typeof size !== 'number') throw new ShapeError(`${where}: the kernel's size must be known, it is ${size}`)
    const stride = list('strides')?.[i] ?? 1
    const dilation = list('dilations')?.[i] ?? 1
    const window = { kernel: size, stride, dilation }
    if (mode === 'VALID') return { ...window, padBefore: 0, padAfter: 0 }
    if (mode !== 'SAME_UPPER' && mode !== 'SAME_LOWER')
      return { ...window, padBefore: list('pads')?.[i] ?? 0, padAfter: list('pads')?.[i + rank] ?? 0 }
    const extent = dilation * (size - 1) + 1
    if (typeof length !== 'number' && stride !== 1)
      throw new ShapeError(
        `${where}: auto_pad ${mode} with stride ${stride} needs a fixed input size; axis ${i + 2} is "${length}"`,
      )
    const total =
      typeof length === 'number' ? Math.max(0, (Math.ceil(length / stride) - 1) * stride + extent - length) : extent - 1
    const small = Math.floor(total / 2)
    return mode === 'SAME_UPPER'
      ? { ...window, padBefore: small, padAfter: total - small }
      : { ...window, padBefore: total - small, padAfter: small }
  })
}

/** Number of places a window takes: ⌊(length + pads − extent)/stride⌋ + 1, or rounded up with `ceilMode`. */
export function windowCount(length: Dim, w: Window, ceilMode = false): Dim {
  const room = addDims(length, w.padBefore + w.padAfter - (w.dilation * (w.kernel - 1) + 1))
  if (typeof room === 'number') {
    const count = (ceilMode ? Math.ceil(room / w.stride) : Math.floor(room / w.stride)) + 1
    // A window that would start in the padding after the end is left out.
    return ceilMode && typeof length === 'number' && (count - 1) * w.stride >= length + w.padBefore ? count - 1 : count
  }
  if (w.stride === 1) return addDims(room, 1)
  return addDims(floorDivideDims(ceilMode ? addDims(room, w.stride - 1) : room, w.stride), 1)
}
