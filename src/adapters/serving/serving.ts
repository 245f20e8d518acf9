/** @file What a graph that serves adapters is made from, and what it is fed. */
import type { HostTensor } from '../../graph/types.js'
import type { Part } from '../part.js'

/** Parts to attach with `scaling: 'tensors'`, and the tensors that they read: graphs of the same parts are shared. */
export interface Serving {
  readonly parts: readonly Part[]
  /** Scales are in them. */
  readonly tensors: Readonly<Record<string, HostTensor>>
}

/**
 * In graphs of mixed batches, the input that tells how much each column of the stacked branches counts in each row, [batch, 1, stacked]: the
 * weight of the adapter that has it.
 */
export const ADAPTER_WEIGHTS = 'adapter_weights'

/** The same for each adapter, [batch, adapters], where some of them have vectors of one number for each output. */
export const ADAPTER_SCALES = 'adapter_scales'

/** The tensors for some rows of a batch: only the weights of the adapters are by row. */
export function rowsOf(tensors: Serving['tensors'], rows: readonly number[]): Serving['tensors'] {
  const chosen = [ADAPTER_WEIGHTS, ADAPTER_SCALES].flatMap((name) => {
    const tensor = tensors[name]
    if (tensor === undefined) return []
    const [batch, ...rest] = tensor.shape as number[]
    const width = tensor.data.length / batch!
    const data = new Float32Array(rows.length * width)
    rows.forEach((row, i) => data.set((tensor.data as Float32Array).subarray(row * width, (row + 1) * width), i * width))
    return [[name, { ...tensor, shape: [rows.length, ...rest], data }] as const]
  })
  return chosen.length === 0 ? tensors : { ...tensors, ...Object.fromEntries(chosen) }
}
