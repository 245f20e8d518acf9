/** @file Trainable tensors as views of one flat vector, the form in which the optimizer sees them. */
import { float32 } from '../graph/constants.js'
import { elementCount, type HostTensor } from '../graph/types.js'

/** A tensor that is trained. */
export interface ParameterSpec {
  /** Its name, which is that of the graph's input. */
  readonly name: string
  /** Lengths of its axes. */
  readonly shape: readonly number[]
  /** What an adapter's tensor is, for rules that treat some differently (LoRA+). */
  readonly role?: string
}

/** Named float32 tensors that share one buffer. Writing into `data` changes every tensor. */
export class ParameterVector {
  /** Every number that is trained, in the order of `specs`. */
  readonly data: Float32Array
  /** All tensors by name, those that are not trained last. */
  readonly tensors: ReadonlyMap<string, HostTensor>

  /**
   * @param specs what is trained
   * @param frozen tensors that are fed alike, but never changed (A of LoRA-FA)
   */
  constructor(
    /** What is trained, in the order of `data`. */
    readonly specs: readonly ParameterSpec[],

    /** Tensors that are fed alike, but never changed. */
    readonly frozen: readonly ParameterSpec[] = [],
  ) {
    const size = (list: readonly ParameterSpec[]): number => list.reduce((sum, spec) => sum + elementCount(spec.shape), 0)
    const all = new Float32Array(size(specs) + size(frozen))
    this.data = all.subarray(0, size(specs))
    const tensors = new Map<string, HostTensor>()
    let offset = 0
    for (const { name, shape } of [...specs, ...frozen]) {
      const length = elementCount(shape)
      tensors.set(name, float32(shape, all.subarray(offset, offset + length)))
      offset += length
    }
    this.tensors = tensors
  }

  /** The numbers as they are now, whatever becomes of these: what is trained changes between two awaits. */
  copy(): ParameterVector {
    const copy = new ParameterVector(this.specs, this.frozen)
    for (const [name, { data }] of this.tensors) copy.view(name).set(data as Float32Array)
    return copy
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
