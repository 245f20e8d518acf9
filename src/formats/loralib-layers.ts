/**
 * @file Layers of loralib 0.1 (microsoft/LoRA) as PEFT's matrices, exactly. With s = alpha/r:
 *
 * - Linear: delta = s·B·A, as in PEFT.
 * - MergedLinear: A [r·g, in] and B [slice·g, r] for the g enabled of n slices of a fused projection; slice j gets
 *   s·B_j·A_j. As one LoRA of rank r·g: A as it is, B block-diagonal with zero rows for the other slices.
 * - Conv2d with a kernel of k: A [r·k, in·k], B [out·k, r·k], delta = s·(B·A) read as [out, in, k, k]. Output channel o
 *   consists of the k rows o·k+i of B·A, so the delta as a matrix [out, in·k·k] is [B_0 | … | B_(k-1)]·diag(A, …, A) with
 *   B_i the rows i, i+k, … of B: one LoRA of rank r·k·k in PEFT's form.
 */
import { InvalidAdapterError } from '../errors.js'
import { allocate } from '../graph/constants.js'
import type { HostTensor } from '../graph/types.js'

/** A layer in PEFT's form; the scale stays alpha/r where alpha is multiplied by `growth`, as the rank is. */
export interface ConvertedLayer {
  readonly A: HostTensor
  readonly B: HostTensor
  readonly r: number
  /** New rank over loralib's r. */
  readonly growth: number
}

/** @throws InvalidAdapterError if the shapes do not fit `enableLora` */
export function mergedLinear(module: string, A: HostTensor, B: HostTensor, enableLora: readonly boolean[]): ConvertedLayer {
  const [rows] = A.shape as [number, number]
  const [bRows, r] = B.shape as [number, number]
  const enabled = enableLora.flatMap((on, i) => (on ? [i] : []))
  const groups = rows / r
  if (groups !== enabled.length || bRows % groups !== 0)
    throw new InvalidAdapterError(
      `${module}: lora_A [${A.shape.join(', ')}] and lora_B [${B.shape.join(', ')}] are those of ${groups} slices, but ${enabled.length} are enabled (${enableLora.join(', ')}); give the enable_lora that the layer was made with`,
    )
  const slice = bRows / groups
  const out = slice * enableLora.length
  const data = allocate(B.dtype, out * rows)
  enabled.forEach((target, group) => {
    for (let i = 0; i < slice; i++)
      for (let k = 0; k < r; k++) data[(target * slice + i) * rows + group * r + k] = B.data[(group * slice + i) * r + k]!
  })
  return { A, B: { dtype: B.dtype, shape: [out, rows], data }, r: rows, growth: groups }
}

/** A convolution with one group. @throws InvalidAdapterError if the shapes are those of no such kernel */
export function convolution(module: string, A: HostTensor, B: HostTensor, k: number): ConvertedLayer {
  const [rk, ink] = A.shape as [number, number]
  const [outk] = B.shape as [number, number]
  if (rk % k !== 0 || ink % k !== 0 || outk % k !== 0)
    throw new InvalidAdapterError(
      `${module}: lora_A [${A.shape.join(', ')}] and lora_B [${B.shape.join(', ')}] are not those of a convolution with a kernel of ${k} × ${k} and one group`,
    )
  const [inChannels, out, rank] = [ink / k, outk / k, rk * k]
  const a = allocate(A.dtype, rank * ink * k)
  const b = allocate(B.dtype, out * rank)
  for (let i = 0; i < k; i++) {
    for (let row = 0; row < rk; row++)
      for (let column = 0; column < ink; column++) a[(i * rk + row) * ink * k + i * ink + column] = A.data[row * ink + column]!
    for (let o = 0; o < out; o++) for (let row = 0; row < rk; row++) b[o * rank + i * rk + row] = B.data[(o * k + i) * rk + row]!
  }
  return {
    A: { dtype: A.dtype, shape: [rank, inChannels, k, k], data: a },
    B: { dtype: B.dtype, shape: [out, rank, 1, 1], data: b },
    r: rank,
    growth: k * k,
  }
}
