/**
 * @file The tensors of mixed batches: for every layer the branches of several adapters, one after the other, and how much each counts in each
 * row.
 *
 * A place that was written stays as it is: a run that has begun reads it while others are written. So a new adapter goes into a free
 * place, and only where there is none, or its rank is larger, are the tensors made anew, with those that were used last.
 */
import { float32 } from '../../graph/constants.js'
import type { HostTensor } from '../../graph/types.js'
import type { ServedBranch } from './branch-tensors.js'
import { emptyLayerStack, stackTensors, writeBranch, type LayerStack } from './layer-stack.js'
import type { ServedLora } from './served-lora.js'
import { ADAPTER_SCALES, ADAPTER_WEIGHTS } from './serving.js'

/** An adapter that can be stacked. */
export interface StackedAdapter {
  /** By module. */
  readonly branches: ReadonlyMap<string, ServedBranch>
}

/** The adapters of a row, and what they count. */
export type StackedRow<A> = readonly { readonly entry: A; readonly weight: number }[]

export class AdapterStack<A extends StackedAdapter> {
  private stacks: readonly LayerStack[] = []
  /** Where each is, the one that was used longest ago first. */
  private readonly places = new Map<A, number>()
  private free = 0
  private capacity = 0
  private r = 0

  /**
   * @param parts of the graph, one for each layer
   * @param kept most adapters that are kept; those of a pass are there in any case
   */
  constructor(
    private readonly parts: readonly ServedLora[],
    private readonly kept: number,
  ) {}

  /** What a batch of such rows is fed. */
  serve(rows: readonly StackedRow<A>[]): Readonly<Record<string, HostTensor>> {
    const asked = new Set(rows.flatMap((row) => row.map(({ entry }) => entry)))
    // Of the base alone next to nothing is read.
    if (asked.size === 0) return tensorsOf(this.nothing(), 0, 1, 1, rows, () => 0)
    const missing = [...asked].filter((entry) => !this.places.has(entry))
    if (missing.length > this.capacity - this.free || missing.some((entry) => rankOf(entry) > this.r)) this.renew(asked)
    else for (const entry of missing) this.place(entry)
    const used = [...asked].map((entry) => this.places.get(entry)!)
    for (const entry of asked) {
      const place = this.places.get(entry)!
      this.places.delete(entry)
      this.places.set(entry, place)
    }
    const place = (entry: A): number => this.places.get(entry)!
    return tensorsOf(this.stacks, Math.min(...used), Math.max(...used) + 1, this.r, rows, place)
  }

  /** Gives up an adapter that will not be asked for again. */
  forget(entry: A): void {
    if (!this.places.delete(entry) || this.places.size > 0) return
    this.stacks = []
    this.free = this.capacity = this.r = 0
  }

  /** New tensors with what is asked for, what was used last beside it, and room for others. */
  private renew(asked: ReadonlySet<A>): void {
    const others = [...this.places.keys()].filter((entry) => !asked.has(entry))
    const room = Math.max(0, this.kept - asked.size)
    const entries = [...others.slice(Math.max(0, others.length - room)), ...asked]
    // Half as much again: copies are made the more seldom the more there are.
    this.capacity = entries.length + Math.ceil(entries.length / 2)
    this.r = Math.max(1, ...entries.map(rankOf))
    this.stacks = this.parts.map((part) => emptyLayerStack(part, this.capacity, this.r))
    this.places.clear()
    this.free = 0
    for (const entry of entries) this.place(entry)
  }

  private place(entry: A): void {
    const place = this.free++
    for (const stack of this.stacks) {
      const branch = entry.branches.get(stack.part.module)
      if (branch !== undefined) writeBranch(stack, place, branch)
    }
    this.places.set(entry, place)
  }

  private none: readonly LayerStack[] | undefined

  private nothing(): readonly LayerStack[] {
    return (this.none ??= this.parts.map((part) => emptyLayerStack(part, 1, 1)))
  }
}

/** One rank for all layers: then one input tells the weights of all of them. */
const rankOf = ({ branches }: StackedAdapter): number => [...branches.values()].reduce((most, { r }) => Math.max(most, r), 0)

/** @param end behind the last place that is fed */
function tensorsOf<A>(
  stacks: readonly LayerStack[],
  start: number,
  end: number,
  r: number,
  rows: readonly StackedRow<A>[],
  place: (entry: A) => number,
): Record<string, HostTensor> {
  const count = end - start
  const scales = new Float32Array(rows.length * count)
  const weights = new Float32Array(rows.length * count * r)
  rows.forEach((row, i) => {
    for (const { entry, weight } of row) {
      const at = i * count + place(entry) - start
      scales[at] = weight
      weights.fill(weight, at * r, (at + 1) * r)
    }
  })
  return {
    ...Object.fromEntries(stacks.flatMap((stack) => stackTensors(stack, start, end))),
    [ADAPTER_WEIGHTS]: float32([rows.length, 1, count * r], weights),
    [ADAPTER_SCALES]: float32([rows.length, count], scales),
  }
}
