/**
 * @file Trained rows of an embedding in a graph that serves many adapters. Whether they count is an input too: another adapter may have a
 * table or a tied head of its own, whose rows the base's must not take the place of.
 */
import { InvalidAdapterError } from '../../errors.js'
import { float32 } from '../../graph/constants.js'
import type { HostTensor } from '../../graph/types.js'
import type { Attachment, Part, PartTensor } from '../part.js'
import type { TrainableTokens } from '../trainable-tokens.js'

/** Whether rows count, as their graph is told. */
const COUNTS = { yes: float32([1], new Float32Array([1])), no: float32([1], new Float32Array(1)) }

export class ServedTokens implements Part {
  readonly module: string
  readonly kind: string
  readonly tensors: readonly PartTensor[]
  private readonly counts: PartTensor

  constructor(readonly tokens: TrainableTokens) {
    const [rows] = tokens.tensors
    this.module = tokens.module
    this.kind = `served ${tokens.kind}`
    this.counts = { name: `${rows.name}.counts`, shape: [1], role: 'rows' }
    this.tensors = [rows, this.counts]
  }

  attach(at: Attachment): void {
    this.tokens.attach(at, at.b.cast(at.input(this.counts), 'int64'))
  }

  /** What the graph is fed beside the rows. @param active whether an adapter that trained them is */
  feed(active: boolean): Readonly<Record<string, HostTensor>> {
    return { [this.counts.name]: active ? COUNTS.yes : COUNTS.no }
  }

  /** @throws InvalidAdapterError always: what is merged is an adapter */
  deltas(): never {
    throw new InvalidAdapterError(`${this.module}: what serves many adapters cannot be merged; merge the adapters themselves`)
  }
}
