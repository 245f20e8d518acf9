/** @file Trainable tensors as views of one flat vector, the form in which the optimizer sees them. */
import { float32 } from '../graph/constants.js'
import { elementCount, type HostTensor } from '../graph/types.js'

export interface ParameterSpec {
  readonly name: string
  readonly shape: readonly number[]
}

/** Named float32 tensors that share one buffer. Writing into `data` changes every tensor. */
export class Parameters {
  readonly data: Float32Array
  readonly tensors: ReadonlyMap<string, HostTensor>

  constructor(readonly specs: readonly ParameterSpec[]) {
    const total = specs.reduce((sum, spec) => sum + elementCount(spec.shape), 0)
    this.data = new Float32Array(total)
    const tensors = new Map<string, HostTensor>()
    let offset = 0
    for (const { name, shape } of specs) {
      const length = elementCount(shape)
      tensors.set(name, float32(shape, this.data.subarray(offset, offset + length)))
      offset += length
    }
    this.tensors = tensors
  }

  /** Number of trainable numbers. */
  get count(): number {
    return this.data.length
  }

  /** The numbers of one tensor, writable. */
  view(name: string): Float32Array {
    const tensor = this.tensors.get(name)
    if (tensor === undefined) throw new RangeError(`internal: no parameter "${name}"`)
    return tensor.data as Float32Array
  }
}
