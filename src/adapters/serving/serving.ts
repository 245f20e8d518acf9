/** @file What a graph that serves adapters is made from, and what it is fed. */
import type { HostTensor } from '../../graph/types.js'
import type { Part } from '../part.js'

/** Parts to attach with `scaling: 'tensors'`, and the tensors that they read: graphs of the same parts are shared. */
export interface Serving {
  readonly parts: readonly Part[]
  /** Scales are in them. */
  readonly tensors: Readonly<Record<string, HostTensor>>
}

/** The input that names each row's adapter, int64 [batch], in graphs of mixed batches. */
export const ADAPTER_INDEX = 'adapter_index'
